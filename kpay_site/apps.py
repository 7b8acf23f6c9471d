"""The top of the house: composes the apps and owns what spans them."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy as _


class KpaySiteConfig(AppConfig):
    name = "kpay_site"
    verbose_name = _("KPay")

    def ready(self) -> None:
        from kpay_site import after_migrate  # noqa: PLC0415  (needs the app registry)

        # The only two signals in use: views and roles are not migrations (contract section 8).
        pre_migrate.connect(after_migrate.drop_audit_views, sender=self)
        post_migrate.connect(after_migrate.restore, sender=self)
