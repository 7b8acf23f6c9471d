"""Facts told to other apps after the commit that made them true.

`publish` writes one row for every subscriber in the caller's transaction. `deliver_due` takes
rows with SKIP LOCKED and a lease. A handler that only writes the database runs in the same
transaction as its row's "done" mark, so its effect happens exactly once; a handler that talks
to the platform (`talks=True`) runs outside and must be safe to repeat.
"""

import dataclasses
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from django.db import transaction
from django.db.models import F
from django.utils.module_loading import import_string

from kernel import clock
from kernel.errors import InvariantBroken
from kernel.models import OutboxRow
from kernel.queue import wake

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
MAX_ATTEMPTS = 10
# Seconds before the n-th retry; the sum stays under ten minutes (`invariants.md` X01, X02).
BACKOFF = (1, 2, 4, 8, 15, 30, 60, 90, 120, 180)


@dataclass(frozen=True)
class Event:
    """Base of all facts. Fields hold only what JSON can: ids, numbers, strings, lists."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Subscription:
    event: type[Event]
    run: str  # a dotted path
    talks: bool

    def deliver(self, event: Event) -> None:
        import_string(self.run)(event)


_subscriptions: dict[str, Subscription] = {}
_by_event: dict[type[Event], list[str]] = {}


def subscribe(event: type[Event], run: str, *, name: str, talks: bool = False) -> None:
    """The function at the dotted path `run` hears of `event`; rows refer to it by `name`.

    Called in `AppConfig.ready()`. Who publishes needs the name alone, and the path is imported
    at the first delivery: a web process does not load what only the worker runs.
    """
    subscription = Subscription(event, run, talks)
    known = _subscriptions.setdefault(name, subscription)
    if known != subscription:
        raise InvariantBroken(f"two handlers called {name}")
    names = _by_event.setdefault(event, [])
    if name not in names:
        names.append(name)


def publish(event: Event, *, key: str = "", delay: timedelta = timedelta(0)) -> None:
    """Write one due row for every subscriber, in the caller's transaction."""
    if not transaction.get_connection().in_atomic_block:
        raise InvariantBroken("an event is published in the transaction that makes it true")
    at = clock.now()
    rows = [
        OutboxRow(
            kind=event.kind,
            key=key,
            payload=dataclasses.asdict(event),
            handler=name,
            due_at=at + delay,
            created_at=at,
        )
        for name in _by_event.get(type(event), [])
    ]
    if rows:
        OutboxRow.objects.bulk_create(rows)
        transaction.on_commit(_wake, robust=True)  # committed is committed


def _wake() -> None:
    """Ask a worker to look now."""
    wake("kernel.deliver_outbox")


def deliver_due(limit: int = 100) -> int:
    """Run up to `limit` due deliveries; returns how many were tried. Safe in parallel."""
    tried = 0
    while tried < limit:
        claimed = _claim()
        if claimed is None:
            break
        _deliver(*claimed)
        tried += 1
    return tried


@transaction.atomic
def _claim() -> tuple[OutboxRow, int] | None:
    """Lease the oldest due row: it becomes due again by itself if this process dies."""
    at = clock.now()
    row = (
        OutboxRow.objects.filter(state=OutboxRow.State.DUE, due_at__lte=at)
        .order_by("due_at", "pk")
        .select_for_update(skip_locked=True)
        .first()
    )
    if row is None:
        return None
    row.attempts += 1
    row.lease += 1
    row.due_at = at + LEASE
    row.save(update_fields=["attempts", "lease", "due_at"])
    return row, row.lease


def _deliver(row: OutboxRow, lease: int) -> None:
    subscription = _subscriptions.get(row.handler)
    try:
        if subscription is None:
            raise InvariantBroken(f"no handler called {row.handler}")
        event = subscription.event(**row.payload)
        if subscription.talks:
            subscription.deliver(event)
            _mark_done(row.pk, lease)
        else:
            with transaction.atomic():
                if _mark_done(row.pk, lease):
                    subscription.deliver(event)
    except Exception as error:  # noqa: BLE001  (any handler's failure is kept on its row)
        logger.exception("outbox delivery failed", extra={"handler": row.handler, "row": row.pk})
        _mark_failed(row, lease, error)


def _mark_done(pk: int, lease: int) -> bool:
    """Fenced by the lease: a process that lost it can't close the row."""
    return bool(
        OutboxRow.objects.filter(pk=pk, lease=lease, state=OutboxRow.State.DUE).update(
            state=OutboxRow.State.DONE, done_at=clock.now()
        )
    )


def _mark_failed(row: OutboxRow, lease: int, error: Exception) -> None:
    dead = row.attempts >= MAX_ATTEMPTS
    wait = BACKOFF[min(row.attempts, len(BACKOFF)) - 1]
    OutboxRow.objects.filter(pk=row.pk, lease=lease, state=OutboxRow.State.DUE).update(
        state=OutboxRow.State.DEAD if dead else OutboxRow.State.DUE,
        due_at=clock.now() + timedelta(seconds=wait),
        last_error=f"{type(error).__name__}: {error}"[:500],
    )


def retry_dead(pk: int) -> None:
    """Give a dead row ten more tries (an operator's action)."""
    OutboxRow.objects.filter(pk=pk, state=OutboxRow.State.DEAD).update(
        state=OutboxRow.State.DUE, attempts=0, lease=F("lease") + 1, due_at=clock.now()
    )
