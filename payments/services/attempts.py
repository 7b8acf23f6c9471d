"""Attempts to pay: a number first, then what the platform said about it."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from kernel import clock
from kernel.ids import new_no
from kernel.locks import LockRank, note_rank
from payments import rules
from payments.errors import OrderNotPending
from payments.locks import order_locked, payments_locked
from payments.models import Order, Payment

_LOOK_AGAIN = timedelta(seconds=60)
OPEN = (Payment.Status.CREATED, Payment.Status.PREPARED)


@transaction.atomic
def payment_open(*, order_id: int, channel: str, payer_openid: str, client_ip: str = "") -> Payment:
    """The open attempt on this channel, with its number committed; a new one when there is none.

    Keeps the address it was first asked from: the platform compares. Holds the order lock.
    Raises `OrderNotPending`, also when the time to pay is over.
    """
    order = order_locked(order_id)
    if order.status != Order.Status.PENDING:
        raise OrderNotPending(status=order.status)
    if order.expires_at <= clock.now():
        raise OrderNotPending(status=Order.Status.CLOSED)
    for payment in payments_locked(order_id):
        if payment.channel == channel and payment.status in OPEN:
            return payment
    at = clock.now()
    return Payment.objects.create(
        order=order,
        out_trade_no=new_no(),
        channel=channel,
        amount_fen=order.payable_fen,
        payer_openid=payer_openid,
        prepared={"client_ip": client_ip} if client_ip else None,
        created_at=at,
        next_check_at=at + timedelta(seconds=settings.KPAY.query_plan_seconds[0]),
    )


@transaction.atomic
def payment_prepared(*, payment_id: int, prepared: dict[str, Any]) -> None:
    """The platform knows the number; the client may ask for the money."""
    note_rank(LockRank.PAYMENT)
    Payment.objects.filter(pk=payment_id, status__in=OPEN).update(
        status=Payment.Status.PREPARED, prepared=prepared
    )


@transaction.atomic
def payment_closed(*, payment_id: int, looked_for: bool = False) -> None:
    """The platform says that nobody can pay this number any more. A paid one stays paid.

    `looked_for`: the platform can't promise that, so later looks may still find money.
    """
    note_rank(LockRank.PAYMENT)
    next_look = clock.now() + _LOOK_AGAIN if looked_for else None
    Payment.objects.filter(pk=payment_id, status__in=(*OPEN, Payment.Status.CLOSED)).update(
        status=Payment.Status.CLOSED, next_check_at=next_look
    )


@transaction.atomic
def payment_success_dated(*, payment_id: int, success_at: datetime) -> None:
    """The money came at this moment, says the platform; we had only known that it did."""
    note_rank(LockRank.PAYMENT)
    Payment.objects.filter(pk=payment_id, status=Payment.Status.SUCCEEDED).update(
        success_at=success_at
    )


def next_payment_check(payment: Payment) -> datetime:
    """When to look again after this look, by the query plan (`wechat.md` D4)."""
    gap = rules.gap_seconds(settings.KPAY.query_plan_seconds, payment.checks + 1)
    return clock.now() + timedelta(seconds=gap)
