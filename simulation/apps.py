"""Synthetic learners against the real serving code (design section 7); no behaviour yet."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SimulationConfig(AppConfig):
    name = "simulation"
    verbose_name = _("仿真")
