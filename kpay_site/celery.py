"""The queue. Schedules live beside their tasks; this only gathers them."""

import os
from importlib import import_module

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kpay_site.settings")

app = Celery("kpay")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

SCHEDULED = (
    "kernel",
    "accounts",
    "payments",
    "feedback",
    "incentives",
    "recommender",
    "messaging",
    "content",
)


@setup_logging.connect
def _django_logging(**_: object) -> None:
    """Keep Django's LOGGING: Celery would lay its own root handler over it."""


def schedule() -> dict[str, object]:
    """Every app's `tasks.SCHEDULE`, merged."""
    merged: dict[str, object] = {}
    for name in SCHEDULED:
        merged.update(import_module(f"{name}.tasks").SCHEDULE)
    return merged


@app.on_after_finalize.connect
def _gather(sender: Celery, **_: object) -> None:
    sender.conf.beat_schedule = schedule()
