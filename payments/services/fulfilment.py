"""Money came. One function says what follows, whoever brought the news."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from kernel import clock
from kernel.errors import DomainError, InvariantBroken
from kernel.outbox import publish
from payments import ledger, rules, selectors
from payments.errors import FactsDiffer
from payments.events import OrderPaid
from payments.locks import buyer_turn, order_locked, payments_locked
from payments.models import Effect, Order, OrderLine, Payment, Refund
from payments.ports import discount_source
from payments.services.codes import gifts_make
from payments.services.deliveries import delivery_due_at
from payments.services.endings import discounts_of, end_locked, spend_now
from payments.services.entitlements import grant_lines
from payments.services.refunds.stray import stray_refund
from payments.services.seats import group_member_paid
from payments.services.shares import shares_take


@transaction.atomic
def payment_succeeded(*, facts: rules.PaidFacts) -> Payment:
    """The payment is succeeded and its order paid, entitled and booked, exactly once.

    Called alike by notify, check and sweeper, as often as they like: the second call changes
    nothing. A closed order takes late money when all that it had reserved is free again. Money
    for an order that does not take it (cancelled, paid before, or its content owned meanwhile)
    is booked to suspense and a refund in full is requested with its cause.
    Holds the buyer's turn, the order, its payments and its group. Raises `FactsDiffer` (nothing
    done) when `facts` do not agree with what was asked for.
    """
    known = payment_told(facts)
    if known is None:
        raise FactsDiffer("out_trade_no")
    return take_money(known, facts)


def payment_told(facts: rules.PaidFacts) -> Payment | None:
    """The payment that these facts speak of, with its order; None for a number we don't know.

    Raises `FactsDiffer` when they do not agree with it, or name another payment's transaction.
    """
    if not facts.transaction_id:
        raise FactsDiffer("transaction_id")
    rows = (
        Payment.objects.filter(
            Q(out_trade_no=facts.out_trade_no) | Q(transaction_id=facts.transaction_id)
        )
        .select_related("order")
        .only("out_trade_no", "amount_fen", "payer_openid", "order__user_id")
    )
    by_no = {row.out_trade_no: row for row in rows}
    known = by_no.pop(facts.out_trade_no, None)
    if by_no:
        raise FactsDiffer("transaction_id")
    if known is not None:
        check_facts(known, facts)
    return known


def take_money(known: Payment, facts: rules.PaidFacts) -> Payment:
    """What `payment_succeeded` says, inside the caller's transaction."""
    order_id = known.order_id
    buyer_turn(known.order.user_id)
    order = order_locked(order_id)
    payments = payments_locked(order_id)
    payment = next(p for p in payments if p.pk == known.pk)
    if payment.status == Payment.Status.SUCCEEDED:
        if payment.transaction_id != facts.transaction_id:
            raise FactsDiffer("transaction_id")
        return payment
    lines = list(
        OrderLine.objects.filter(order_id=order_id)
        .only("order_id", "kind", "scope", "period", "gives", "message", "quantity", "payable_fen")
        .order_by("line_no")
    )
    cause = _stray_cause(order, lines) or _reservations_taken(order)
    at = _succeed(payment, facts, effective=cause is None)
    if cause is None:
        order_fulfil(order=order, lines=lines, payment=payment, at=at)
        _close_soon(payments, payment)
    else:
        _send_back(order, payment, cause)
    Effect.objects.create(kind="payment", business_key=payment.out_trade_no, ref=order.no)
    return payment


def _send_back(order: Order, payment: Payment, cause: Refund.Cause) -> None:
    """Stray money is booked apart and a refund in full requested; a pending order ends."""
    stray_refund(order=order, payment=payment, cause=cause)
    ledger.post_stray(
        ref=payment.out_trade_no, channel=payment.channel, amount_fen=payment.amount_fen
    )
    if order.status == Order.Status.PENDING:
        end_locked(order, Order.Status.CLOSED)


def check_facts(payment: Payment, facts: rules.PaidFacts) -> None:
    """Raises `FactsDiffer` when amount or payer are not what this payment asked for."""
    if facts.amount_fen != payment.amount_fen:
        raise FactsDiffer("amount")
    if payment.payer_openid and facts.payer_openid != payment.payer_openid:
        raise FactsDiffer("openid")


def _stray_cause(order: Order, lines: Sequence[OrderLine]) -> Refund.Cause | None:
    """Why this order does not take the money; None when it may."""
    if order.status == Order.Status.CANCELLED:
        return Refund.Cause.LATE_PAYMENT
    late = order.status == Order.Status.CLOSED
    if order.status != Order.Status.PENDING and not late:
        return Refund.Cause.DUPLICATE_PAYMENT
    once = [line.scope for line in lines if line.scope and not line.period]
    if once and selectors.entitled_scopes(order.user_id, once):
        return Refund.Cause.LATE_PAYMENT if late else Refund.Cause.DUPLICATE_PAYMENT
    return None


def _reservations_taken(order: Order) -> Refund.Cause | None:
    """The order's coupon, points and seat in its group are its own for good; None then.

    A pending order holds coupon and points. A closed one reserves them again; where that is
    refused, or the group is over, nothing is changed and the money is late.
    """
    late = order.status == Order.Status.CLOSED
    if not late and order.group_id is None:
        _redeem(order)
        return None
    try:
        with transaction.atomic():
            if order.group_id is not None:
                group_member_paid(order)
            if late:
                spend_now(discounts_of(order))
            else:
                _redeem(order)
    except DomainError:
        return Refund.Cause.LATE_PAYMENT
    return None


def _redeem(order: Order) -> None:
    if order.coupon_id is not None or order.points_used:
        discount_source().redeem(discounts_of(order))


def _succeed(payment: Payment, facts: rules.PaidFacts, *, effective: bool) -> datetime:
    rules.may_move(rules.PAYMENT_MOVES, payment.status, Payment.Status.SUCCEEDED)
    at = facts.success_at or clock.now()
    payment.status = Payment.Status.SUCCEEDED
    payment.effective = effective
    payment.transaction_id = facts.transaction_id
    payment.payer_openid = payment.payer_openid or facts.payer_openid
    payment.success_at = at
    payment.next_check_at = None
    payment.platform_id = facts.platform_id
    payment.by_apple = facts.by_apple
    if effective:
        payment.shipping_due_at = delivery_due_at(payment.channel)
    if not effective:
        payment.refunding_fen = payment.amount_fen
    payment.save(
        update_fields=[
            "status",
            "effective",
            "transaction_id",
            "payer_openid",
            "success_at",
            "next_check_at",
            "platform_id",
            "by_apple",
            "shipping_due_at",
            "refunding_fen",
        ]
    )
    return at


def order_fulfil(
    *, order: Order, lines: Sequence[OrderLine], payment: Payment | None, at: datetime
) -> None:
    """The held order is paid: journal posted, rights granted, gifts made.

    Its coupon, points and seat in a group are taken already. `payment` is None for an order over
    0 fen. Needs the buyer's turn.
    """
    if not rules.may_move(rules.ORDER_MOVES, order.status, Order.Status.PAID):
        raise InvariantBroken("an order is paid once")
    if (payment.amount_fen if payment else 0) != order.payable_fen:
        raise InvariantBroken("an order is paid by exactly its payable amount")
    order.status = Order.Status.PAID
    order.paid_at = at
    order.ended_at = None
    order.next_sweep_at = None
    order.save(update_fields=["status", "paid_at", "ended_at", "next_sweep_at"])
    gifts_make(lines)
    if order.total_fen:
        ledger.post_sale(
            kind="payment" if payment else "order",
            ref=payment.out_trade_no if payment else order.no,
            channel=payment.channel if payment else "free",
            paid_fen=order.payable_fen,
            discount_fen=order.discount_fen,
            points_value_fen=order.points_value_fen,
            total_fen=order.total_fen,
        )
    if payment is not None:
        shares_take(order=order, lines=lines, ref=payment.out_trade_no)
    grant_lines(order=order, lines=lines, at=at)
    publish(
        OrderPaid(
            order_id=order.pk,
            order_no=order.no,
            user_id=order.user_id,
            scopes=[line.scope for line in lines if line.scope],
            payable_fen=order.payable_fen,
            paid_at=at.isoformat(),
        ),
        key=order.no,
    )


def _close_soon(payments: Sequence[Payment], paid: Payment) -> None:
    """Other open attempts are closed at the platform by the next sweep: nobody pays twice."""
    others = [
        p.pk
        for p in payments
        if p.pk != paid.pk and p.status in (Payment.Status.CREATED, Payment.Status.PREPARED)
    ]
    if others:
        Payment.objects.filter(pk__in=others).update(next_check_at=clock.now())
