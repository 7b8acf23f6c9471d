"""Money that goes back."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from kernel import clock
from kernel.errors import InvariantBroken
from kernel.ids import new_no
from kernel.locks import LockRank, note_rank
from kernel.outbox import publish
from payments import ledger, rules
from payments.errors import FactsDiffer
from payments.events import RefundSucceeded
from payments.locks import order_locked, payment_locked, refund_locked
from payments.models import Effect, Order, Payment, Refund

STRAY = (Refund.Cause.LATE_PAYMENT, Refund.Cause.DUPLICATE_PAYMENT)
# A refund that the platform closed is asked for again under a new number, this often in all.
MAX_TRIES = 5
RETRY_AFTER_CLOSED = timedelta(minutes=1)  # D5: ≥ 1 minute between refunds of one order

_STATUS = {
    "PROCESSING": Refund.Status.PROCESSING,
    "SUCCESS": Refund.Status.SUCCEEDED,
    "ABNORMAL": Refund.Status.ABNORMAL,
    "CLOSED": Refund.Status.CLOSED,
}


def stray_refund(
    *, order: Order, payment: Payment, cause: str, due_at: datetime | None = None
) -> Refund:
    """A refund in full of money that its order does not take, to be asked for after the commit.

    Order and payment are held; the caller has counted the amount as refunding.
    """
    note_rank(LockRank.REFUND)
    return Refund.objects.create(
        order=order,
        payment=payment,
        out_refund_no=new_no(),
        amount_fen=payment.amount_fen,
        cause=cause,
        reason=str(Refund.Cause(cause).label),
        created_at=clock.now(),
        next_check_at=due_at or clock.now(),
    )


@transaction.atomic
def refund_told(*, refund_id: int, facts: rules.RefundFacts) -> Refund:
    """The refund as the platform sees it now, and all that follows from that, once.

    Succeeded: money booked out, the payment's figures moved. Closed: the amount is free again,
    and stray money is asked for under a new number. Abnormal waits for a person. Old and
    repeated news change nothing. Holds order, payment and refund. Raises `FactsDiffer`.
    """
    refund = Refund.objects.only("order_id", "payment_id").get(pk=refund_id)
    order = order_locked(refund.order_id)
    payment = payment_locked(refund.payment_id)
    refund = refund_locked(refund_id)
    check_refund_facts(refund, payment, facts)
    then = _STATUS[facts.status]
    if then == refund.status or then not in rules.REFUND_MOVES[refund.status]:
        return refund  # a duplicate, or news older than what is known
    refund.status = then
    refund.provider_id = facts.refund_id or refund.provider_id
    refund.last_error = ""
    final = then in (Refund.Status.SUCCEEDED, Refund.Status.CLOSED)
    if final:
        refund.next_check_at = None
    if then == Refund.Status.SUCCEEDED:
        refund.success_at = facts.success_at or clock.now()
    refund.save(
        update_fields=["status", "provider_id", "last_error", "next_check_at", "success_at"]
    )
    if then == Refund.Status.SUCCEEDED:
        _succeeded(order, payment, refund)
    elif then == Refund.Status.CLOSED:
        _closed(order, payment, refund)
    return refund


def check_refund_facts(refund: Refund, payment: Payment, facts: rules.RefundFacts) -> None:
    """Raises `FactsDiffer` when numbers, amount or status are not what we asked for."""
    if facts.out_refund_no != refund.out_refund_no:
        raise FactsDiffer("out_refund_no")
    if facts.out_trade_no and facts.out_trade_no != payment.out_trade_no:
        raise FactsDiffer("out_trade_no")
    if facts.refund_fen is not None and facts.refund_fen != refund.amount_fen:
        raise FactsDiffer("amount")
    if facts.status not in _STATUS:
        raise FactsDiffer("status")


def _succeeded(order: Order, payment: Payment, refund: Refund) -> None:
    if refund.cause not in STRAY:
        raise InvariantBroken("refunds by policy are not offered yet")
    Payment.objects.filter(pk=payment.pk).update(
        refunding_fen=F("refunding_fen") - refund.amount_fen,
        refunded_fen=F("refunded_fen") + refund.amount_fen,
    )
    ledger.post_stray_refund(
        ref=refund.out_refund_no, channel=payment.channel, amount_fen=refund.amount_fen
    )
    Effect.objects.create(kind="refund", business_key=refund.out_refund_no, ref=order.no)
    publish(
        RefundSucceeded(
            refund_id=refund.pk,
            out_refund_no=refund.out_refund_no,
            order_id=order.pk,
            order_no=order.no,
            user_id=order.user_id,
            amount_fen=refund.amount_fen,
            cause=refund.cause,
        ),
        key=order.no,
    )


def _closed(order: Order, payment: Payment, refund: Refund) -> None:
    """Proven not to happen under this number; stray money must still go back."""
    tries = Refund.objects.filter(payment=payment, cause__in=STRAY).count()
    if refund.cause in STRAY and tries < MAX_TRIES:
        due_at = clock.now() + RETRY_AFTER_CLOSED
        stray_refund(order=order, payment=payment, cause=refund.cause, due_at=due_at)
    else:
        Payment.objects.filter(pk=payment.pk).update(
            refunding_fen=F("refunding_fen") - refund.amount_fen
        )


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
    refund_waits(refund_id=refund_id, why=why)
    return told


@transaction.atomic
def refund_waits(*, refund_id: int, why: str) -> None:
    """The platform gave no answer: the row keeps why, the next sweep asks again."""
    note_rank(LockRank.REFUND)
    Refund.objects.filter(pk=refund_id).update(last_error=why[:200])


def next_refund_check(refund: Refund) -> datetime:
    """When to look again after this look: the payment's plan, then hourly."""
    gap = rules.gap_seconds(settings.KPAY.query_plan_seconds, refund.checks + 1)
    if refund.checks >= len(settings.KPAY.query_plan_seconds):
        gap = 3600
    return clock.now() + timedelta(seconds=gap)
