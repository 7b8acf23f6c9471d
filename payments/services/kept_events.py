"""What the platform told us, kept raw and once, with what became of it (X01)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import Q

from kernel import clock
from kernel.errors import DomainError
from kernel.locks import LockRank, note_rank
from payments.locks import claim_one
from payments.models import EventHandling, PlatformEvent

# Seconds before the n-th try of an early event: ten tries within ten minutes (X01).
BACKOFF = (1, 2, 4, 8, 15, 30, 60, 90, 120, 180)
KEEP_PERSONAL = timedelta(days=90)

State = EventHandling.State

_KEEP = """
WITH kept AS (
    INSERT INTO payments_platformevent (source, event_id, event_type, body, received_at)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (source, event_id) DO NOTHING
    RETURNING id
)
INSERT INTO payments_eventhandling
    (event_id, kind, business_key, state, attempts, due_at, facts, last_error, done_at)
SELECT id, %s, %s, %s, 0, %s, %s, '', %s FROM kept
RETURNING event_id
"""


@dataclass(frozen=True)
class Told:
    """A verified event as it came."""

    source: str
    event_id: str
    event_type: str
    body: bytes


def event_kept(
    told: Told,
    *,
    kind: str,
    business_key: str,
    state: EventHandling.State,
    facts: dict[str, Any] | None = None,
    due_at: datetime | None = None,
) -> int | None:
    """Store the raw event with its state, in the caller's transaction; its key when it is new.

    `facts` are kept with it. A copy that arrives at the same moment waits here until the first
    one commits.
    """
    at = clock.now()
    parked = state == State.PARKED
    values = [
        *(told.source, told.event_id, told.event_type, told.body, at),
        *(kind, business_key[:80], state.value),
        (due_at or at + timedelta(seconds=BACKOFF[0])) if parked else None,
        None if facts is None else orjson.dumps(facts).decode(),
        at if state in (State.DONE, State.IGNORED) else None,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, values)
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def event_known(source: str, event_id: str) -> EventHandling:
    """What became of an event that is kept."""
    return EventHandling.objects.select_related("event").get(
        event__source=source, event__event_id=event_id
    )


def parked_event_done(*, event_id: int) -> None:
    """The event has had its effect, in the caller's transaction; what it said is not needed."""
    EventHandling.objects.filter(pk=event_id).update(
        state=State.DONE, done_at=clock.now(), due_at=None, facts=None, last_error=""
    )


@transaction.atomic
def event_taken_over(*, event_id: int) -> None:
    """What the event speaks of has become ours by another way: nothing is left to try."""
    note_rank(LockRank.ORDER)
    parked_event_done(event_id=event_id)


@transaction.atomic
def event_turn(*, event_id: int, lease: timedelta) -> bool:
    """True for the one copy of an unfinished event that may ask the platform about it now."""
    at = clock.now()
    note_rank(LockRank.ORDER)
    free = EventHandling.objects.filter(
        Q(due_at__isnull=True) | Q(due_at__lte=at),
        pk=event_id,
        state__in=(State.PARKED, State.DEAD),
    )
    return bool(free.update(due_at=at + lease))


@transaction.atomic
def parked_event_claim() -> EventHandling | None:
    """The longest-waiting parked event, put off until its next try."""
    return claim_one(
        EventHandling.objects.filter(state=State.PARKED, due_at__lte=clock.now()).select_related(
            "event"
        ),
        field="due_at",
        rank=LockRank.ORDER,
        again=_next_try,
    )


def last_try(row: EventHandling) -> bool:
    """Whether the event is dead when this try fails too."""
    return row.state == State.DEAD or row.attempts + 1 >= len(BACKOFF)


def _next_try(row: EventHandling) -> datetime:
    return clock.now() + timedelta(seconds=BACKOFF[min(row.attempts + 1, len(BACKOFF) - 1)])


@transaction.atomic
def parked_event_failed(*, event_id: int, error: DomainError) -> None:
    """One try more without effect. After ten it is dead: a person has to look."""
    note_rank(LockRank.ORDER)
    row = EventHandling.objects.get(pk=event_id)
    why = f"{error.code}: {error.detail}"[:200]
    changed: dict[str, Any] = {"attempts": min(row.attempts + 1, 32_000), "last_error": why}
    if last_try(row):
        changed |= {"state": State.DEAD, "due_at": None}
    EventHandling.objects.filter(pk=event_id, state__in=(State.PARKED, State.DEAD)).update(
        **changed
    )


@transaction.atomic
def event_put_off(*, event_id: int) -> None:
    """The sweeper tries soon: whoever had the turn did not succeed."""
    note_rank(LockRank.ORDER)
    EventHandling.objects.filter(pk=event_id, state=State.PARKED).update(
        due_at=clock.now() + timedelta(seconds=BACKOFF[0])
    )


@transaction.atomic
def event_settled_by_hand(*, event_id: int) -> bool:
    """A person has dealt with a dead event elsewhere; False for one that is not dead."""
    note_rank(LockRank.ORDER)
    dead = EventHandling.objects.filter(pk=event_id, state=State.DEAD)
    return bool(dead.update(state=State.IGNORED, done_at=clock.now(), due_at=None))


@transaction.atomic
def events_forget(*, most: int = 2000) -> int:
    """Events older than 90 days hold nothing of people any more; their keys and states stay.

    A dead one loses what a later try would need: by then it is a matter for a person.
    """
    note_rank(LockRank.ORDER)
    old = PlatformEvent.objects.filter(received_at__lt=clock.now() - KEEP_PERSONAL)
    ids = list(
        old.filter(~Q(body=b"") | Q(handling__facts__isnull=False))
        .order_by("received_at")
        .values_list("pk", flat=True)[:most]
    )
    if not ids:
        return 0
    EventHandling.objects.filter(pk__in=ids).update(facts=None)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL kpay.purge = 'on'")
        try:
            PlatformEvent.objects.filter(pk__in=ids).update(body=b"")
        finally:
            cursor.execute("SET LOCAL kpay.purge = 'off'")
    return len(ids)
