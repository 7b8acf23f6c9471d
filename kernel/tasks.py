"""Shells around the kernel's due work."""

from datetime import timedelta

from celery import shared_task

from kernel import clock, outbox
from kernel.models import Heartbeat, IdempotencyKey, OutboxRow, RateCounter

SCHEDULE = {
    "kernel.deliver_outbox": {"task": "kernel.deliver_outbox", "schedule": 1.0},
    "kernel.heartbeat": {"task": "kernel.heartbeat", "schedule": 15.0},
    "kernel.sweep": {"task": "kernel.sweep", "schedule": 3600.0},
}


@shared_task(name="kernel.deliver_outbox", ignore_result=True)
def deliver_outbox() -> int:
    return outbox.deliver_due(limit=200)


@shared_task(name="kernel.heartbeat", ignore_result=True)
def heartbeat() -> None:
    Heartbeat.objects.update_or_create(name="worker", defaults={"beat_at": clock.now()})


@shared_task(name="kernel.sweep", ignore_result=True)
def sweep() -> None:
    """Forget counters, answers older than 48 h and done events older than 30 days."""
    at = clock.now()
    RateCounter.objects.filter(expires_at__lt=at).delete()
    IdempotencyKey.objects.filter(created_at__lt=at - timedelta(hours=48)).delete()
    OutboxRow.objects.filter(
        state=OutboxRow.State.DONE, done_at__lt=at - timedelta(days=30)
    ).delete()
