from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FeedbackConfig(AppConfig):
    name = "feedback"
    verbose_name = _("学习反馈")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hear of paid orders, and tell refund policies what was watched.

        Events are imported here, when the models are there.
        """
        from kernel.outbox import subscribe  # noqa: PLC0415
        from payments.events import OrderPaid  # noqa: PLC0415
        from payments.ports import register_watched_source  # noqa: PLC0415

        handler = "feedback.handlers.purchase_noted"
        subscribe(OrderPaid, handler, name="feedback.purchase_noted")
        register_watched_source("feedback.selectors.watched_bp")
