"""What accounts holds of people, and of their keys."""

from kernel.personal import Form, register

register("accounts_accesstoken", Form.HASH, "hash")
register("accounts_refreshtoken", Form.HASH, "hash")
register("accounts_user", Form.PASSWORD, "password")
register("accounts_user", Form.SEALED, "phone_encrypted", owner="t.id")
register(
    "accounts_user",
    Form.PERSONAL,
    *("nickname", "avatar_url", "birth_year", "occupation", "interests"),
    owner="t.id",
)
register("accounts_identity", Form.SEALED, "session_key_encrypted", owner="t.user_id")
register("accounts_identity", Form.PERSONAL, "openid", "unionid", owner="t.user_id")
