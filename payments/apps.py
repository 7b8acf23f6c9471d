"""Payments: what may be bought, what was paid, and who may use what."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = _("支付")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the invariants known to `manage.py audit`."""
        import_module("payments.audit")
        import_module("payments.audit_bills")
