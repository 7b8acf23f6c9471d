"""What payments holds of people: the payer's openid, and what notices say while they wait."""

from kernel.personal import Form, register

register(
    "payments_payment",
    Form.PERSONAL,
    "payer_openid",
    owner="(SELECT o.user_id FROM payments_order o WHERE o.id = t.order_id)",
)
register("payments_payment", Form.MACHINE, "prepared")
register("payments_eventhandling", Form.MACHINE, "facts", "last_error")
register("payments_refund", Form.MACHINE, "last_error")
register("payments_gift", Form.HASH, "code_hash")
register("payments_gift", Form.SEALED, "code_sealed")
register(
    "payments_invoice",
    Form.PERSONAL,
    "title",
    "email",
    owner="(SELECT o.user_id FROM payments_order o WHERE o.id = t.order_id)",
)
