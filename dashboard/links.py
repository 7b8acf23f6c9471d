"""Addresses of admin lists, narrowed to the rows behind a figure."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse

from dashboard.periods import Period
from kernel import clock


def rows_url(model: type[Model], **filters: Any) -> str:
    """The model's admin list with these field lookups applied."""
    meta = model._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    query = urlencode({name: _written(value) for name, value in filters.items()})
    return f"{url}?{query}" if query else url


def row_url(model: type[Model], pk: object) -> str:
    """The admin page of one row."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])


def story_url(order_id: int) -> str:
    """The page that tells an order from its quote to its last entry."""
    return reverse("admin:order_story", args=[order_id])


def within(field: str, period: Period) -> dict[str, datetime]:
    """Lookups that keep the rows whose `field` lies in the period."""
    return {f"{field}__gte": period.start, f"{field}__lt": period.end}


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return value.astimezone(clock.SHOP_ZONE).isoformat(timespec="seconds")
    return str(value)
