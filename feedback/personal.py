"""What people searched for."""

from kernel.personal import Form, register

register("feedback_event", Form.PERSONAL, "query", owner="t.user_id")
