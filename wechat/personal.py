"""Platform tokens that all processes share."""

from kernel.personal import Form, register

register("wechat_platformtoken", Form.SEALED, "token_encrypted")
