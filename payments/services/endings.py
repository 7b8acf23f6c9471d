"""Orders that die unpaid."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction

from kernel import clock
from kernel.errors import InvariantBroken
from kernel.outbox import publish
from payments import rules
from payments.events import OrderClosed
from payments.locks import order_locked, payments_locked
from payments.models import Order, Payment
from payments.ports import OrderDiscounts, discount_source


@transaction.atomic
def order_end(*, order_id: int, status: str) -> Order | None:
    """The unpaid order is `cancelled` or `closed`, coupon and points are free again.

    Holds the order lock. None (nothing done) while an attempt to pay it is still open: it has
    to be closed at the platform first. An order that ended the same way stays as it is.
    """
    order = order_locked(order_id)
    if order.status != Order.Status.PENDING:
        return order
    open_now = (Payment.Status.CREATED, Payment.Status.PREPARED)
    if any(payment.status in open_now for payment in payments_locked(order_id)):
        return None
    end_locked(order, status)
    return order


def end_locked(order: Order, status: str) -> None:
    """End a pending order whose row is held."""
    if not rules.may_move(rules.ORDER_MOVES, order.status, status):
        raise InvariantBroken("only a pending order ends")
    order.status = status
    order.ended_at = clock.now()
    order.next_sweep_at = None
    order.save(update_fields=["status", "ended_at", "next_sweep_at"])
    if order.coupon_id is not None or order.points_used:
        discount_source().release(discounts_of(order))
    publish(
        OrderClosed(
            order_id=order.pk, order_no=order.no, user_id=order.user_id, status=order.status
        ),
        key=order.no,
    )


def discounts_of(order: Order) -> OrderDiscounts:
    """The order as the discount source sees it."""
    return OrderDiscounts(
        order_id=order.pk,
        order_no=order.no,
        user_id=order.user_id,
        payable_fen=order.payable_fen,
        coupon_id=order.coupon_id,
        coupon_fen=order.coupon_fen,
        points=order.points_used,
        points_value_fen=order.points_value_fen,
    )


def spend_now(whole: OrderDiscounts) -> None:
    """Reserve and redeem in one transaction: the coupon through and through, then the points.

    Redeeming the coupon after reserving points would go back in the lock order.
    """
    parts = []
    if whole.coupon_id is not None:
        parts.append(replace(whole, points=0, points_value_fen=0))
    if whole.points:
        parts.append(replace(whole, coupon_id=None, coupon_fen=0))
    for part in parts:
        discount_source().reserve(part)
        discount_source().redeem(part)


def next_order_sweep(order: Order) -> datetime:
    """When an overdue order is tried again if it could not be closed now."""
    return clock.now() + timedelta(seconds=30)
