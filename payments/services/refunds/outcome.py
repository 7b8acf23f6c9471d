"""What the platform says about a refund, and what it makes of the row."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from kernel import clock
from kernel.locks import LockRank, note_rank
from payments import refund_rules, rules
from payments.errors import FactsDiffer
from payments.locks import (
    gifts_locked,
    order_locked,
    payment_locked,
    refund_due_locked,
    refund_locked,
)
from payments.models import Gift, Order, OrderLine, Payment, Refund, RefundLine
from payments.services.refunds.follow import policy_refund_follows, stray_refund_follows
from payments.services.refunds.request import payment_reserve
from payments.services.refunds.stray import STRAY, stray_again

STATUS = {
    "PROCESSING": Refund.Status.PROCESSING,
    "SUCCESS": Refund.Status.SUCCEEDED,
    "ABNORMAL": Refund.Status.ABNORMAL,
    "CLOSED": Refund.Status.CLOSED,
}
UNDER_WAY = (Refund.Status.REQUESTED, Refund.Status.PROCESSING, Refund.Status.ABNORMAL)
# After the query plan hourly for three days, then four times a day for three months, then a
# person has to look: cards take up to three working days, an empty balance is filled some day.
_HOURLY = 72
_MOST_CHECKS = 440
_STUCK_CHECKS = 10


@transaction.atomic
def refund_told(*, refund_id: int, facts: rules.RefundFacts) -> Refund:
    """The refund as the platform sees it now, and all that follows from that, once.

    Succeeded: see `follow`. Closed: the amount is free again, and stray money is asked for under
    a new number. Abnormal stays reserved and waits for a person. Old and repeated news change
    nothing. Holds order, payment and refund. Raises `FactsDiffer`.
    """
    known = Refund.objects.only("order_id", "payment_id").get(pk=refund_id)
    order = order_locked(known.order_id)
    payment = payment_locked(known.payment_id)
    refund = refund_locked(refund_id)
    check_refund_facts(refund, payment, facts)
    told_locked(order, payment, refund, facts)
    return refund


def told_locked(order: Order, payment: Payment, refund: Refund, facts: rules.RefundFacts) -> None:
    """What `refund_told` says, for rows that are held and facts that were checked."""
    then = STATUS[facts.status]
    if then == refund.status or then not in rules.REFUND_MOVES[refund.status]:
        return  # a duplicate, or news older than what is known
    if refund.status == Refund.Status.CLOSED:
        _reopen(order, payment, refund)
    refund.status = then
    refund.provider_id = facts.refund_id or refund.provider_id
    refund.last_error = ""
    if then in (Refund.Status.SUCCEEDED, Refund.Status.CLOSED):
        refund.next_check_at = None
    if then == Refund.Status.SUCCEEDED:
        refund.success_at = facts.success_at or clock.now()
    refund.save(
        update_fields=["status", "provider_id", "last_error", "next_check_at", "success_at"]
    )
    if then == Refund.Status.SUCCEEDED:
        if refund.cause in STRAY:
            stray_refund_follows(order, payment, refund)
        else:
            policy_refund_follows(order, payment, refund)
    elif then == Refund.Status.CLOSED:
        _closed(order, payment, refund)


def check_refund_facts(refund: Refund, payment: Payment, facts: rules.RefundFacts) -> None:
    """Raises `FactsDiffer` when numbers, amount or status are not what we asked for."""
    if facts.out_refund_no != refund.out_refund_no:
        raise FactsDiffer("out_refund_no")
    if facts.out_trade_no and facts.out_trade_no != payment.out_trade_no:
        raise FactsDiffer("out_trade_no")
    if facts.refund_fen is not None and facts.refund_fen != refund.amount_fen:
        raise FactsDiffer("amount")
    if facts.status not in STATUS:
        raise FactsDiffer("status")


def _closed(order: Order, payment: Payment, refund: Refund) -> None:
    """Proven not to happen under this number; stray money must still go back."""
    if refund.cause in STRAY and stray_again(order=order, payment=payment, cause=refund.cause):
        return  # the new number holds the amount
    release_locked(refund)


def release_locked(refund: Refund) -> None:
    """The refund's amount is free again on payment and lines, its codes can be claimed again.

    Order and payment are held.
    """
    Payment.objects.filter(pk=refund.payment_id).update(
        refunding_fen=F("refunding_fen") - refund.amount_fen
    )
    for part in refund.lines.all():
        OrderLine.objects.filter(pk=part.line_id).update(
            refunding_fen=F("refunding_fen") - part.amount_fen
        )
    if not Gift.objects.filter(refund=refund).exists():
        return
    at = clock.now()
    for gift in gifts_locked(refund.order_id):
        if gift.refund_id == refund.pk and gift.status == Gift.Status.RETURNING:
            gift.status = Gift.Status.ISSUED
            gift.refund = None
            # An overdue one would only be refused again: a person sees its closed refund.
            gift.next_sweep_at = gift.expires_at if gift.expires_at > at else None
            gift.save(update_fields=["status", "refund", "next_sweep_at"])


def _reopen(order: Order, payment: Payment, refund: Refund) -> None:
    """Money went back under a number that was closed here, by a person or on a refusal.

    Its amount is reserved once more. Raises `FactsDiffer` when it was used otherwise meanwhile:
    then the bill will show what a person has to clear up.
    """
    if payment.amount_fen - payment.refunding_fen - payment.refunded_fen < refund.amount_fen:
        raise FactsDiffer("status")
    parts = list(RefundLine.objects.filter(refund=refund).select_related("line"))
    for part in parts:
        line = part.line
        if line.payable_fen - line.refunding_fen - line.refunded_fen < part.amount_fen:
            raise FactsDiffer("status")
    for part in parts:
        OrderLine.objects.filter(pk=part.line_id).update(
            refunding_fen=F("refunding_fen") + part.amount_fen
        )
    payment_reserve(refund)


@transaction.atomic
def refund_refused(*, refund_id: int, why: str) -> Refund:
    """The platform proved that it knows no such refund and will not make it: closed."""
    refund = Refund.objects.select_related("payment").get(pk=refund_id)
    told = refund_told(
        refund_id=refund_id,
        facts=rules.RefundFacts(
            out_refund_no=refund.out_refund_no,
            out_trade_no=refund.payment.out_trade_no,
            refund_id="",
            status="CLOSED",
            refund_fen=refund.amount_fen,
            success_at=None,
        ),
    )
    if told.status == Refund.Status.CLOSED:
        Refund.objects.filter(pk=refund_id).update(last_error=why[:200])
        told.last_error = why[:200]
    return told


@transaction.atomic
def refund_waits(*, refund_id: int, why: str, wait: timedelta = timedelta(0)) -> None:
    """It did not go on: the row keeps why, the sweep asks again, not before `wait` is over."""
    note_rank(LockRank.REFUND)
    row = Refund.objects.filter(pk=refund_id, status__in=UNDER_WAY)
    row.update(last_error=why[:200])
    if wait:
        row.filter(next_check_at__isnull=False).update(
            next_check_at=Greatest(F("next_check_at"), clock.now() + wait)
        )


def refund_backoff(refund: Refund) -> timedelta:
    """How long to wait after "not now": longer each time, an hour at most (D5: ≥ a minute)."""
    doubled = 1 << min(max(refund.checks - 1, 0), 6)
    return min(timedelta(hours=1), refund_rules.SPACING * doubled)


@transaction.atomic
def refund_claim() -> Refund | None:
    """The longest-waiting due refund with its payment, put off to its next look; None when none
    is due. Others that wait for their turn at the same payment come a minute later (D5)."""
    at = clock.now()
    refund = refund_due_locked(at)
    if refund is None:
        return None
    refund.next_check_at = next_refund_check(refund)
    refund.checks += 1
    refund.save(update_fields=["next_check_at", "checks"])
    if refund.status == Refund.Status.REQUESTED:
        turn = at + refund_rules.SPACING
        Refund.objects.filter(
            payment_id=refund.payment_id,
            status=Refund.Status.REQUESTED,
            next_check_at__lt=turn,
        ).exclude(pk=refund.pk).update(next_check_at=turn)
    return refund


def needs_a_person() -> Q:
    """Refunds that wait for a decision, could not reach the payer, or were asked for in vain so
    often that something has to be done about it (an empty balance, a lost permission)."""
    waiting = Q(approval=Refund.Approval.WAITING)
    stuck = Q(status__in=UNDER_WAY, checks__gte=_STUCK_CHECKS) & ~Q(last_error="")
    given_up = Q(status__in=UNDER_WAY, next_check_at__isnull=True)
    return waiting | Q(status=Refund.Status.ABNORMAL) | stuck | given_up


def next_refund_check(refund: Refund) -> datetime | None:
    """When to look again after this look: the payment's plan, then ever more rarely; None when
    it was often enough and a person has to look."""
    plan = settings.KPAY.query_plan_seconds
    if refund.checks >= _MOST_CHECKS:
        return None
    if refund.checks < len(plan):
        gap = rules.gap_seconds(plan, refund.checks + 1)
    else:
        gap = 3600 if refund.checks < len(plan) + _HOURLY else 6 * 3600
    return clock.now() + timedelta(seconds=gap)
