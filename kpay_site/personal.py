"""Tables of Django and of the kernel, which no app of its own stands for."""

from kernel.personal import Form, register

register("django_session", Form.DIGEST, "session_key")
register("django_admin_log", Form.MACHINE, "change_message")
register("kernel_idempotencykey", Form.HASH, "body_hash")
register("kernel_idempotencykey", Form.MACHINE, "body")
register("kernel_outboxrow", Form.MACHINE, "payload", "last_error")
register("kernel_staffaction", Form.MACHINE, "detail")
