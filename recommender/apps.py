"""Recommender app: feeds, similar courses, ranking of offers, and the models behind them."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RecommenderConfig(AppConfig):
    name = "recommender"
    verbose_name = _("推荐")
    default_auto_field = "django.db.models.BigAutoField"
