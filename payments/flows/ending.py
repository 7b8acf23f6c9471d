"""Ending unpaid orders: the platform is asked and every attempt closed there first."""

import logging
from typing import TYPE_CHECKING

from kernel.errors import Unavailable
from kernel.transactions import retrying
from payments import selectors
from payments.errors import FactsDiffer, OrderAlreadyPaid
from payments.flows.paying import payment_close
from payments.models import Order, Payment
from payments.services.attempts import OPEN
from payments.services.endings import order_end
from wechat.errors import WeChatError

if TYPE_CHECKING:
    from accounts.models import User

logger = logging.getLogger(__name__)

_PAID = (Order.Status.PAID, Order.Status.PARTIALLY_REFUNDED, Order.Status.REFUNDED)
# A new attempt may be opened while the last one is being closed; a buyer who keeps doing so waits.
_ROUNDS = 3


def order_cancel(*, user: "User", no: str) -> Order:
    """The user's order after cancelling it. Cancelling again changes nothing.

    Raises `NotFound`, `OrderAlreadyPaid` when money turned out to be there, and a 503 while the
    platform gives no answer (the order stays pending then).
    """
    order = selectors.get_order_for_user(user=user, no=no)
    if order.status == Order.Status.PENDING:
        _end(order, Order.Status.CANCELLED)
        order = selectors.get_order_for_user(user=user, no=no)
    if order.status in _PAID:
        raise OrderAlreadyPaid
    return order


def order_expire(order: Order) -> None:
    """The overdue order is closed, or found paid. Without an answer it stays for the next sweep."""
    try:
        _end(order, Order.Status.CLOSED)
    except (WeChatError, Unavailable) as error:
        logger.warning("order %s not closed yet: %s", order.no, error)
    except FactsDiffer as differ:
        logger.error("order %s: %s", order.no, differ.detail)


def _end(order: Order, status: str) -> None:
    for _round in range(_ROUNDS):
        for payment in Payment.objects.filter(order=order, status__in=OPEN).order_by("pk"):
            payment_close(payment=payment)
        if retrying(lambda: order_end(order_id=order.pk, status=status)) is not None:
            return
    raise Unavailable(retry_after=2)
