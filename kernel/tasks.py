"""Shells around the kernel's due work."""

import logging
from datetime import timedelta

from celery import current_app, shared_task
from kombu.exceptions import OperationalError as BrokerError

from kernel import clock, outbox
from kernel.models import Heartbeat, IdempotencyKey, OutboxRow, RateCounter

logger = logging.getLogger(__name__)

SCHEDULE = {
    "kernel.deliver_outbox": {"task": "kernel.deliver_outbox", "schedule": 1.0},
    "kernel.heartbeat": {"task": "kernel.heartbeat", "schedule": 15.0},
    "kernel.sweep": {"task": "kernel.sweep", "schedule": 3600.0},
}


def wake_outbox() -> None:
    """Ask a worker to look now. A broker that is away costs a second, not a fact."""
    send("kernel.deliver_outbox")


def send(name: str, *args: object, queue: str = "default") -> bool:
    """Send a task by name, bounded in time; False (and a log line) when the broker is away."""
    try:
        current_app.send_task(name, args=args, queue=queue, retry=False, expires=600)
    except (BrokerError, OSError) as error:
        logger.warning("broker is away: %s not sent (%s)", name, type(error).__name__)
        return False
    return True


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
