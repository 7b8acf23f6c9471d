"""The kernel: what every app stands on. It imports no other app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class KernelConfig(AppConfig):
    name = "kernel"
    verbose_name = _("系统内核")
    default_auto_field = "django.db.models.BigAutoField"
