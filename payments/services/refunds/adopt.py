"""Refunds that began at the platform: in its console, by Apple, by a complaint."""

from django.db import transaction

from kernel import clock
from kernel.locks import LockRank, note_rank
from payments import refund_rules
from payments.errors import FactsDiffer, RefundExceedsPaid
from payments.locks import order_locked, payment_locked, refund_locked
from payments.models import Payment, Refund
from payments.refund_rules import Room
from payments.rules import RefundFacts
from payments.services.refunds.outcome import (
    STATUS,
    check_refund_facts,
    refund_told,
    told_locked,
)
from payments.services.refunds.request import ask_soon, refund_reserve

_MAX_NO = 64  # D5


@transaction.atomic
def refund_adopt(*, facts: RefundFacts, out_trade_no: str) -> Refund | None:
    """Our row of a refund that the platform made by itself, with all that follows from it.

    It bears the platform's number and the cause platform; its amount is spread over what is
    left of the lines. A number that we know is told as ever; a refund that was closed is none.
    Holds order and payment. Raises `FactsDiffer` for money that is not ours or no amount, and
    `RefundExceedsPaid` when it is more than what is left: a person has to look.
    """
    known = Refund.objects.filter(out_refund_no=facts.out_refund_no).values_list("pk", flat=True)
    refund_id = known.first()
    if refund_id is not None:
        return refund_told(refund_id=refund_id, facts=facts)
    if facts.status not in STATUS or not 0 < len(facts.out_refund_no) <= _MAX_NO:
        raise FactsDiffer("out_refund_no")
    if facts.status == "CLOSED":
        return None
    paid = Payment.objects.filter(out_trade_no=out_trade_no, status=Payment.Status.SUCCEEDED)
    payment_row = paid.only("order_id").first()
    if payment_row is None or facts.out_trade_no not in ("", out_trade_no):
        raise FactsDiffer("out_trade_no")
    if not facts.refund_fen or facts.refund_fen < 0:
        raise FactsDiffer("amount")
    order = order_locked(payment_row.order_id)
    payment = payment_locked(payment_row.pk)
    raced = Refund.objects.filter(out_refund_no=facts.out_refund_no).only("pk").first()
    if raced is not None:  # told from two sides at once
        refund = refund_locked(raced.pk)
        check_refund_facts(refund, payment, facts)
        told_locked(order, payment, refund, facts)
        return refund
    if not payment.effective:
        # Its own refund in full is under way already.
        left = payment.amount_fen - payment.refunding_fen - payment.refunded_fen
        raise RefundExceedsPaid(left_fen=left)
    lines = {line.line_no: line for line in order.lines.order_by("line_no")}
    rooms = []
    for no, line in lines.items():
        left = line.payable_fen - line.refunding_fen - line.refunded_fen
        rooms.append(Room(no, left, left))
    parts = refund_rules.parts_spread(rooms, facts.refund_fen)
    note_rank(LockRank.REFUND)
    at = clock.now()
    refund = Refund.objects.create(
        order=order,
        payment=payment,
        out_refund_no=facts.out_refund_no,
        amount_fen=facts.refund_fen,
        cause=Refund.Cause.PLATFORM,
        reason=str(Refund.Cause.PLATFORM.label),
        status=Refund.Status.PROCESSING,
        provider_id=facts.refund_id,
        created_at=at,
        next_check_at=at,
    )
    refund_reserve(refund=refund, lines=lines, parts=parts)
    told_locked(order, payment, refund, facts)
    ask_soon()
    return refund
