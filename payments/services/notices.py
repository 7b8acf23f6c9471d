"""Verified notices of WeChat Pay: kept raw, applied in the same transaction, once."""

from dataclasses import asdict
from datetime import datetime

from django.db import transaction

from payments import rules
from payments.errors import FactsDiffer
from payments.models import EventHandling
from payments.selectors import refund_numbered
from payments.services.fulfilment import payment_succeeded, payment_told, take_money
from payments.services.kept_events import Told, event_kept, parked_event_done
from payments.services.refunds import check_refund_facts, refund_told

SOURCE = "wechat_pay"

State = EventHandling.State


@transaction.atomic
def payment_notice(*, event_id: str, event_type: str, body: bytes, facts: rules.PaidFacts) -> None:
    """The notice is kept and its payment has succeeded, in one transaction.

    A notice for a number that we do not know (yet) is parked. Raises `FactsDiffer` and keeps
    nothing when it does not agree with the payment: the right one may still come.
    """
    payment = payment_told(facts)
    new = event_kept(
        Told(SOURCE, event_id, event_type, body),
        kind="payment",
        business_key=facts.out_trade_no,
        state=State.PARKED if payment is None else State.DONE,
        facts=asdict(facts) if payment is None else None,
    )
    if new and payment is not None:
        take_money(payment, facts)


@transaction.atomic
def refund_notice(*, event_id: str, event_type: str, body: bytes, facts: rules.RefundFacts) -> None:
    """The notice is kept and its refund is as told, in one transaction; parked when unknown."""
    refund = refund_numbered(facts.out_refund_no)
    if refund is not None:
        check_refund_facts(refund, refund.payment, facts)
    new = event_kept(
        Told(SOURCE, event_id, event_type, body),
        kind="refund",
        business_key=facts.out_refund_no,
        state=State.PARKED if refund is None else State.DONE,
        facts=asdict(facts) if refund is None else None,
    )
    if new and refund is not None:
        refund_told(refund_id=refund.pk, facts=facts)


@transaction.atomic
def other_notice(*, event_id: str, event_type: str, body: bytes) -> None:
    """A notice that we do not act on is kept as ignored."""
    event_kept(
        Told(SOURCE, event_id, event_type, body),
        kind="other",
        business_key=event_id,
        state=State.IGNORED,
    )


@transaction.atomic
def parked_event_apply(*, event: EventHandling) -> None:
    """A kept notice has its effect now, or raises what is still in the way (`FactsDiffer`)."""
    facts = dict(event.facts or {})
    if not facts:
        raise FactsDiffer("facts")
    at = facts.pop("success_at", None)
    success_at = datetime.fromisoformat(at) if at else None
    if event.kind == "payment":
        payment_succeeded(facts=rules.PaidFacts(**facts, success_at=success_at))
    else:
        told = rules.RefundFacts(**facts, success_at=success_at)
        refund = refund_numbered(told.out_refund_no)
        if refund is None:
            raise FactsDiffer("out_refund_no")
        refund_told(refund_id=refund.pk, facts=told)
    parked_event_done(event_id=event.pk)
