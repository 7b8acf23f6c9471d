"""Telling the platform that what was paid for has been handed over."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from kernel import clock
from kernel.locks import LockRank, note_rank
from payments.models import Payment
from payments.models.products import Channel

MAX_TRIES = 12
# A9: order shipping knows of a payment ten seconds and more after it was made.
_MANAGED = timedelta(seconds=15)
# By then the answer to the push has said it, as a rule.
_VIRTUAL = timedelta(seconds=60)
_LONGEST = timedelta(hours=6)


def delivery_due_at(channel: str) -> datetime | None:
    """When to tell of a payment that succeeds now; None where nobody asks for it."""
    if channel == Channel.VIRTUAL:
        return clock.now() + _VIRTUAL
    if channel == Channel.JSAPI and settings.KPAY.trade_managed:
        return clock.now() + _MANAGED
    return None


def next_delivery_try(payment: Payment) -> datetime:
    """15 s, 30 s, 1 min … 6 h: about two days in all."""
    gap = _MANAGED * int(2 ** (payment.shipping_tries + 1))
    return clock.now() + min(gap, _LONGEST)


@transaction.atomic
def delivery_told(*, payment_id: int) -> None:
    """The platform knows that this payment's goods are handed over."""
    note_rank(LockRank.PAYMENT)
    Payment.objects.filter(pk=payment_id, shipped_at=None).update(
        shipped_at=clock.now(), shipping_due_at=None
    )


@transaction.atomic
def delivery_given_up(*, payment_id: int) -> None:
    """No more tries by itself: payments with tries and without `shipped_at` wait for a person."""
    note_rank(LockRank.PAYMENT)
    Payment.objects.filter(pk=payment_id).update(shipping_due_at=None)


@transaction.atomic
def delivery_again(*, payment_id: int) -> bool:
    """A person wants it told once more; False for a payment that needs no telling."""
    note_rank(LockRank.PAYMENT)
    stuck = Payment.objects.filter(
        pk=payment_id,
        status=Payment.Status.SUCCEEDED,
        shipped_at=None,
        shipping_due_at=None,
        shipping_tries__gt=0,
    )
    return bool(stuck.update(shipping_tries=0, shipping_due_at=clock.now()))
