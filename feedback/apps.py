from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FeedbackConfig(AppConfig):
    name = "feedback"
    verbose_name = _("学习反馈")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("feedback.handlers")
