"""What people wrote to us and what we wrote to them."""

from kernel.personal import Form, register

_SENDER = "(SELECT i.user_id FROM accounts_identity i WHERE i.openid = t.openid LIMIT 1)"

register(
    "messaging_messageevent",
    Form.PERSONAL,
    *("openid", "content", "event_key", "fields"),
    owner=_SENDER,
)
register("messaging_messageevent", Form.DIGEST, "raw_sha")
register("messaging_outboundmessage", Form.PERSONAL, "text", owner="t.user_id")
