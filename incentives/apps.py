from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IncentivesConfig(AppConfig):
    name = "incentives"
    verbose_name = _("激励")

    def ready(self) -> None:
        """Answer the payments app's questions about discounts, hear facts, offer checks."""
        from feedback.events import LessonFinished  # noqa: PLC0415  (needs the models)
        from kernel.outbox import subscribe  # noqa: PLC0415
        from payments.events import OrderPaid, RefundSucceeded  # noqa: PLC0415
        from payments.ports import register_discount_source  # noqa: PLC0415

        import_module("incentives.audit")
        register_discount_source("incentives.discounts.source")
        for event, name in (
            (LessonFinished, "points_for_lesson"),
            (OrderPaid, "points_for_purchase"),
            (RefundSucceeded, "points_back_for_refund"),
        ):
            subscribe(event, f"incentives.handlers.{name}", name=f"incentives.{name}")
