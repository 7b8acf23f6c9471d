from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IncentivesConfig(AppConfig):
    name = "incentives"
    verbose_name = _("激励")

    def ready(self) -> None:
        """Answer the payments app's questions about discounts, hear facts, offer checks."""
        import_module("incentives.audit")
        import_module("incentives.handlers")
        import_module("incentives.discounts").register()
