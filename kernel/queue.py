"""Waking workers by task name. The broker is told after the commit, and may be away."""

import logging
import sys

import psycopg
from django.conf import settings
from django.utils.module_loading import import_string

logger = logging.getLogger(__name__)


def wake(name: str) -> None:
    """Send a task that the schedule would send within a second, if this process has a broker.

    A worker has one. A web process would load Celery for it and hold it for ever: there the
    schedule's tick comes soon enough.
    """
    if "celery" in sys.modules:
        send(name)


def send(name: str, *args: object, queue: str = "default") -> bool:
    """Send a task by name, bounded in time; False (and a log line) when the broker is away.

    Losing it costs a second, not a fact: the schedule comes by.
    """
    # here, not at the top: a web process holds Celery (8 MB) from its first task on, and most
    # never send one
    from kombu.exceptions import OperationalError as BrokerError  # noqa: PLC0415

    app = import_string(settings.QUEUE_APP)
    try:
        app.send_task(name, args=args, queue=queue, retry=False, expires=600)
    # the queue in PostgreSQL raises the driver's errors: two processes that declare it at once too
    except (BrokerError, OSError, psycopg.Error) as error:
        logger.warning("broker is away: %s not sent (%s)", name, type(error).__name__)
        return False
    return True
