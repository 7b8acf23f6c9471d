"""Due work of payments. The rows are the truth; these shells come by and look."""

import time
from collections.abc import Callable

from celery import shared_task
from django.conf import settings
from django.db import transaction

from kernel import clock
from kernel.locks import LockRank
from kernel.transactions import retrying
from payments.flows.delivering import delivery_sweep
from payments.flows.ending import order_expire
from payments.flows.grouping import group_end
from payments.flows.items import items_sweep
from payments.flows.parked import parked_event_retry
from payments.flows.paying import payment_sweep
from payments.flows.reconciling import reconciliation_work
from payments.flows.refunding import refund_sweep
from payments.locks import claim_one
from payments.models import Gift, Group, Order, Payment, Reconciliation
from payments.services.attempts import next_payment_check
from payments.services.deliveries import next_delivery_try
from payments.services.endings import next_order_sweep
from payments.services.items import items_wanted
from payments.services.kept_events import events_forget
from payments.services.quotes import quotes_forget
from payments.services.reconciling import (
    OPEN_STEPS,
    next_step_at,
    reconciliations_open,
)
from payments.services.refunds import refund_claim
from payments.services.returns import gifts_return, next_gift_sweep, next_group_sweep

SCHEDULE = {
    name: {"task": name, "schedule": float(settings.KPAY.sweep_seconds)}
    for name in (
        "payments.check_payments",
        "payments.expire_orders",
        "payments.send_refunds",
        "payments.retry_events",
        "payments.tell_deliveries",
        "payments.return_gifts",
        "payments.end_groups",
    )
} | {
    "payments.forget_quotes": {"task": "payments.forget_quotes", "schedule": 3600.0},
    "payments.reconcile": {"task": "payments.reconcile", "schedule": 600.0},
    "payments.publish_items": {"task": "payments.publish_items", "schedule": 30.0},
    "payments.forget_events": {"task": "payments.forget_events", "schedule": 86400.0},
}
# A task ends well before the broker believes its worker dead (visibility 120 s).
_BUDGET_SECONDS = 20.0
_MOST = 200


def _work(step: Callable[[], bool]) -> int:
    """Run `step` until it finds nothing due, the time is used up or enough was done."""
    ends = time.monotonic() + _BUDGET_SECONDS
    done = 0
    while done < _MOST and time.monotonic() < ends and step():
        done += 1
    return done


@shared_task(name="payments.check_payments", ignore_result=True)
def check_payments() -> int:
    """Open attempts whose next query is due."""
    return _work(_check_one_payment)


def _check_one_payment() -> bool:
    with transaction.atomic():
        payment = claim_one(
            Payment.objects.filter(next_check_at__lte=clock.now()),
            field="next_check_at",
            rank=LockRank.PAYMENT,
            again=next_payment_check,
        )
    if payment is None:
        return False
    payment_sweep(payment)
    return True


@shared_task(name="payments.expire_orders", ignore_result=True)
def expire_orders() -> int:
    """Pending orders whose time to pay is over."""
    return _work(_expire_one_order)


def _expire_one_order() -> bool:
    with transaction.atomic():
        order = claim_one(
            Order.objects.filter(status=Order.Status.PENDING, next_sweep_at__lte=clock.now()),
            field="next_sweep_at",
            rank=LockRank.ORDER,
            again=next_order_sweep,
        )
    if order is None:
        return False
    order_expire(order)
    return True


@shared_task(name="payments.send_refunds", ignore_result=True)
def send_refunds() -> int:
    """Refunds that are to be asked for, or asked about."""
    return _work(_send_one_refund)


def _send_one_refund() -> bool:
    refund = refund_claim()
    if refund is None:
        return False
    refund_sweep(refund)
    return True


@shared_task(name="payments.retry_events", ignore_result=True)
def retry_events() -> int:
    """Notices that came before what they speak of."""
    return _work(parked_event_retry)


@shared_task(name="payments.return_gifts", ignore_result=True)
def return_gifts() -> int:
    """Gifts that nobody claimed in time."""
    return _work(_return_one_order)


def _return_one_order() -> bool:
    with transaction.atomic():
        gift = claim_one(
            Gift.objects.filter(
                status=Gift.Status.ISSUED, next_sweep_at__lte=clock.now()
            ).select_related("line"),
            field="next_sweep_at",
            rank=LockRank.GIFT,
            again=next_gift_sweep,
        )
    if gift is None:
        return False
    order_id = gift.line.order_id
    retrying(lambda: gifts_return(order_id=order_id))
    return True


@shared_task(name="payments.end_groups", ignore_result=True)
def end_groups() -> int:
    """Groups that did not fill in time, until every member is dealt with."""
    return _work(_end_one_group)


def _end_one_group() -> bool:
    with transaction.atomic():
        group = claim_one(
            Group.objects.filter(next_sweep_at__lte=clock.now()),
            field="next_sweep_at",
            rank=LockRank.GROUP,
            again=next_group_sweep,
        )
    if group is None:
        return False
    group_end(group)
    return True


@shared_task(name="payments.forget_quotes", ignore_result=True)
def forget_quotes() -> int:
    """Quotes that nobody used."""
    return quotes_forget()


@shared_task(name="payments.reconcile", ignore_result=True)
def reconcile() -> int:
    """Days whose bills can be had by now: opened, and those that are due worked on."""
    reconciliations_open()
    return _work(_reconcile_one_day)


def _reconcile_one_day() -> bool:
    with transaction.atomic():
        row = claim_one(
            Reconciliation.objects.filter(status__in=OPEN_STEPS, next_try_at__lte=clock.now()),
            field="next_try_at",
            rank=LockRank.ORDER,
            again=next_step_at,
        )
    if row is None:
        return False
    reconciliation_work(row, seconds=_BUDGET_SECONDS)
    return True


@shared_task(name="payments.tell_deliveries", ignore_result=True)
def tell_deliveries() -> int:
    """Payments whose delivery the platform has still to hear of."""
    return _work(_tell_one_delivery)


def _tell_one_delivery() -> bool:
    with transaction.atomic():
        payment = claim_one(
            Payment.objects.filter(shipping_due_at__lte=clock.now()).select_related("order"),
            field="shipping_due_at",
            rank=LockRank.PAYMENT,
            again=next_delivery_try,
            counter="shipping_tries",
        )
    if payment is None:
        return False
    delivery_sweep(payment)
    return True


@shared_task(name="payments.publish_items", ignore_result=True)
def publish_items() -> int:
    """Items of virtual payment on their way to be sold; nothing without virtual payment."""
    if not settings.KPAY.wechat.xpay_offer_id:
        return 0
    items_wanted()
    return items_sweep()


@shared_task(name="payments.forget_events", ignore_result=True)
def forget_events() -> int:
    """Raw events of more than 90 days lose what they hold of people."""
    return _work(lambda: events_forget() > 0)
