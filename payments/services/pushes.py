"""Pushes of virtual payment: kept raw, and their confirmed effects (`wechat.md` B4)."""

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.db import transaction

from kernel import clock
from payments import rules
from payments.errors import FactsDiffer
from payments.models import EventHandling, Payment
from payments.selectors import attempt, refund_numbered
from payments.services.fulfilment import payment_succeeded
from payments.services.kept_events import (
    Told,
    event_kept,
    event_known,
    event_turn,
    parked_event_done,
)
from payments.services.refunds import refund_adopt, refund_told
from wechat.push import Push
from wechat.xpay import VirtualDeliver, VirtualRefundNotice

SOURCE = "xpay"
# Longer than a hasty question to the platform may take.
LEASE = timedelta(seconds=6)

State = EventHandling.State


@dataclass(frozen=True)
class Kept:
    """A push in our books. `mine`: this copy of it may act now."""

    event_id: int
    state: str
    mine: bool


def told(push: Push) -> Told:
    """The push as it is kept: all its fields, under the key that all its copies share."""
    return Told(SOURCE, push.dedupe_key, push.event.lower()[:60], orjson.dumps(push.fields))


@transaction.atomic
def push_kept(*, push: Push, kind: str, business_key: str, facts: dict[str, Any]) -> Kept:
    """The push is kept and waits for the platform's word; one copy at a time may ask for it."""
    new = event_kept(
        told(push),
        kind=kind,
        business_key=business_key,
        state=State.PARKED,
        facts=facts,
        due_at=clock.now() + LEASE,
    )
    if new is not None:
        return Kept(new, State.PARKED, mine=True)
    row = event_known(SOURCE, push.dedupe_key)
    open_still = row.state in (State.PARKED, State.DEAD)
    return Kept(row.pk, row.state, open_still and event_turn(event_id=row.pk, lease=LEASE))


@transaction.atomic
def push_noted(*, push: Push, kind: str, for_a_person: bool = False) -> None:
    """The push is kept: for a person's list, or because nothing is to be done about it."""
    event_kept(
        told(push),
        kind=kind,
        business_key=push.dedupe_key,
        state=State.DEAD if for_a_person else State.IGNORED,
    )


@transaction.atomic
def answer_kept(*, push: Push, kind: str, business_key: str, answer: bytes) -> bytes:
    """The answer to this push: the first one given, the same bytes for every copy."""
    facts = {"answer": base64.b64encode(answer).decode()}
    new = event_kept(
        told(push), kind=kind, business_key=business_key, state=State.DONE, facts=facts
    )
    return answer if new is not None else answer_before(push) or answer


def answer_before(push: Push) -> bytes | None:
    """What was answered to an earlier copy of this push."""
    row = EventHandling.objects.filter(
        event__source=SOURCE, event__event_id=push.dedupe_key
    ).first()
    given = (row.facts or {}).get("answer") if row else None
    return base64.b64decode(given) if given else None


def check_delivery(paid: VirtualDeliver, env: int) -> Payment | None:
    """The payment that a push speaks of; None for a number that we don't know.

    Raises `FactsDiffer` when it is not what we asked for: such a push is worth no question.
    """
    if paid.env != env:
        raise FactsDiffer("env")
    payment = attempt(paid.out_trade_no)
    if payment is None:
        return None
    if payment.payer_openid != paid.openid:
        raise FactsDiffer("openid")
    if payment.amount_fen not in (paid.orig_price_fen, paid.actual_price_fen):
        raise FactsDiffer("amount")
    item_id = (payment.prepared or {}).get("item_id")
    if item_id != paid.product_id or paid.quantity != 1:
        raise FactsDiffer("product_id")
    return payment


def check_refund(ended: VirtualRefundNotice) -> None:
    """Raises `FactsDiffer` when a push about a refund of ours does not agree with it."""
    payment = attempt(ended.out_trade_no)
    if payment is not None and payment.payer_openid != ended.openid:
        raise FactsDiffer("openid")
    refund = refund_numbered(ended.out_refund_no) if ended.out_refund_no else None
    if refund is None:
        return
    if refund.payment.out_trade_no != ended.out_trade_no:
        raise FactsDiffer("out_trade_no")
    if refund.amount_fen != ended.refund_fen:
        raise FactsDiffer("amount")


@transaction.atomic
def push_paid(*, event_id: int, facts: rules.PaidFacts) -> None:
    """The payment has succeeded, as the platform confirmed, and the push is done."""
    payment_succeeded(facts=facts)
    parked_event_done(event_id=event_id)


@transaction.atomic
def push_refunded(*, event_id: int, refund_id: int, facts: rules.RefundFacts) -> None:
    """The refund is as the platform confirmed, and the push is done."""
    refund_told(refund_id=refund_id, facts=facts)
    parked_event_done(event_id=event_id)


@transaction.atomic
def push_adopted(*, event_id: int, facts: rules.RefundFacts) -> None:
    """The money that the platform gave back by itself is a refund of ours, and the push is done."""
    refund_adopt(facts=facts, out_trade_no=facts.out_trade_no)
    parked_event_done(event_id=event_id)
