"""Verified notices of WeChat Pay: kept raw, applied in the same transaction, once."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction

from kernel import clock
from kernel.errors import DomainError
from kernel.locks import LockRank
from payments import rules
from payments.errors import FactsDiffer
from payments.locks import claim_one
from payments.models import EventHandling, Refund
from payments.services.fulfilment import payment_succeeded, payment_told, take_money
from payments.services.refunds import check_refund_facts, refund_told

SOURCE = "wechat_pay"
# Seconds before the n-th try of an early event: ten tries within ten minutes (X01).
BACKOFF = (1, 2, 4, 8, 15, 30, 60, 90, 120, 180)

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


def _keep(
    *,
    event_id: str,
    event_type: str,
    body: bytes,
    kind: str,
    business_key: str,
    state: EventHandling.State,
    facts: dict[str, Any] | None = None,
) -> bool:
    """Store the raw event with its state; False when it is known already.

    A copy that arrives at the same moment waits here until the first one commits.
    """
    at = clock.now()
    parked = state == EventHandling.State.PARKED
    values = [
        *(SOURCE, event_id, event_type, body, at, kind, business_key, state.value),
        at + timedelta(seconds=BACKOFF[0]) if parked else None,
        orjson.dumps(facts).decode() if parked else None,
        None if parked else at,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, values)
        return cursor.fetchone() is not None


@transaction.atomic
def payment_notice(*, event_id: str, event_type: str, body: bytes, facts: rules.PaidFacts) -> None:
    """The notice is kept and its payment has succeeded, in one transaction.

    A notice for a number that we do not know (yet) is parked. Raises `FactsDiffer` and keeps
    nothing when it does not agree with the payment: the right one may still come.
    """
    payment = payment_told(facts)
    new = _keep(
        event_id=event_id,
        event_type=event_type,
        body=body,
        kind="payment",
        business_key=facts.out_trade_no,
        state=EventHandling.State.PARKED if payment is None else EventHandling.State.DONE,
        facts=asdict(facts),
    )
    if new and payment is not None:
        take_money(payment, facts)


@transaction.atomic
def refund_notice(*, event_id: str, event_type: str, body: bytes, facts: rules.RefundFacts) -> None:
    """The notice is kept and its refund is as told, in one transaction; parked when unknown."""
    refund = _refund(facts.out_refund_no)
    if refund is not None:
        check_refund_facts(refund, refund.payment, facts)
    new = _keep(
        event_id=event_id,
        event_type=event_type,
        body=body,
        kind="refund",
        business_key=facts.out_refund_no,
        state=EventHandling.State.PARKED if refund is None else EventHandling.State.DONE,
        facts=asdict(facts),
    )
    if new and refund is not None:
        refund_told(refund_id=refund.pk, facts=facts)


@transaction.atomic
def other_notice(*, event_id: str, event_type: str, body: bytes) -> None:
    """A notice that we do not act on is kept as ignored."""
    _keep(
        event_id=event_id,
        event_type=event_type,
        body=body,
        kind="other",
        business_key=event_id,
        state=EventHandling.State.IGNORED,
    )


def _refund(out_refund_no: str) -> Refund | None:
    return Refund.objects.select_related("payment").filter(out_refund_no=out_refund_no).first()


@transaction.atomic
def parked_event_claim() -> EventHandling | None:
    """The longest-waiting parked event that is due, put off to its next try; None without one."""
    return claim_one(
        EventHandling.objects.filter(state=EventHandling.State.PARKED, due_at__lte=clock.now()),
        field="due_at",
        rank=LockRank.ORDER,
        again=_next_try,
    )


def last_try(row: EventHandling) -> bool:
    """Whether the event is dead when this try fails too."""
    return row.attempts + 1 >= len(BACKOFF)


@transaction.atomic
def parked_event_apply(row: EventHandling) -> None:
    """What the event says has its effect now. Raises a `DomainError` when it still can't."""
    facts = dict(row.facts or {})
    at = facts.pop("success_at", None)
    success_at = datetime.fromisoformat(at) if at else None
    if row.kind == "payment":
        paid = rules.PaidFacts(**facts, success_at=success_at)
        payment_succeeded(facts=paid)
    else:
        told = rules.RefundFacts(**facts, success_at=success_at)
        refund = _refund(told.out_refund_no)
        if refund is None:
            raise FactsDiffer("out_refund_no")
        refund_told(refund_id=refund.pk, facts=told)
    parked_event_done(row)


@transaction.atomic
def parked_event_done(row: EventHandling) -> None:
    """The event had its effect: nothing is left to try."""
    EventHandling.objects.filter(pk=row.pk).update(
        state=EventHandling.State.DONE, done_at=clock.now(), due_at=None, facts=None, last_error=""
    )


def _next_try(row: EventHandling) -> datetime:
    return clock.now() + timedelta(seconds=BACKOFF[min(row.attempts + 1, len(BACKOFF) - 1)])


@transaction.atomic
def parked_event_failed(row: EventHandling, error: DomainError) -> None:
    """One try more without effect; after ten a person has to look (the admin lists them)."""
    attempts = row.attempts + 1
    dead = last_try(row)
    EventHandling.objects.filter(pk=row.pk, state=EventHandling.State.PARKED).update(
        attempts=attempts,
        state=EventHandling.State.DEAD if dead else EventHandling.State.PARKED,
        last_error=f"{error.code}: {error.detail}"[:200],
    )
