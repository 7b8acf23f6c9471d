"""How payments takes its rows: always through the product's one lock order."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

from kernel.errors import NotFound
from kernel.locks import LockRank, lock_all, lock_one, note_rank
from payments.models import (
    Discrepancy,
    Gift,
    Group,
    Invoice,
    Order,
    Payment,
    Quote,
    Reconciliation,
    Refund,
)

M = TypeVar("M", bound=Model)

# First key of the two-key advisory locks of this app ("KPAY" as 32 bits); the second is a user.
_BUYER = 0x4B504159


def buyer_turn(user_id: int) -> None:
    """One purchase of a user takes effect at a time, until this transaction ends.

    Taken before every row lock: two orders for the same thing can't both grant it, and periods
    of a membership line up.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_BUYER, user_id % 2**31])


def quote_locked(*, quote_id: int, user_id: int) -> Quote:
    """The user's quote, locked like the order that it becomes. Raises `NotFound`."""
    try:
        return lock_one(Quote.objects.filter(pk=quote_id, user_id=user_id), LockRank.ORDER)
    except Quote.DoesNotExist:
        raise NotFound from None


def order_locked(order_id: int) -> Order:
    return lock_one(Order.objects.filter(pk=order_id), LockRank.ORDER)


def payments_locked(order_id: int) -> list[Payment]:
    """Every attempt to pay this order, oldest first."""
    return lock_all(Payment.objects.filter(order_id=order_id), LockRank.PAYMENT)


def payment_locked(payment_id: int) -> Payment:
    return lock_one(Payment.objects.filter(pk=payment_id), LockRank.PAYMENT)


def refund_locked(refund_id: int) -> Refund:
    return lock_one(Refund.objects.filter(pk=refund_id), LockRank.REFUND)


def payments_locked_by_id(ids: Collection[int]) -> None:
    """These payments, whatever their orders; for facts that change no state of theirs."""
    lock_all(Payment.objects.filter(pk__in=ids).only("pk"), LockRank.PAYMENT)


def reconciliation_locked(reconciliation_id: int) -> Reconciliation:
    """A day's reconciliation; nothing of an order is taken while it is held."""
    return lock_one(Reconciliation.objects.filter(pk=reconciliation_id), LockRank.ORDER)


def discrepancy_locked(discrepancy_id: int) -> Discrepancy:
    return lock_one(Discrepancy.objects.filter(pk=discrepancy_id), LockRank.ORDER)


def gift_locked(code_hash: bytes) -> Gift:
    """The gift of this code, held. Raises `NotFound`."""
    try:
        return lock_one(Gift.objects.filter(code_hash=code_hash), LockRank.GIFT)
    except Gift.DoesNotExist:
        raise NotFound from None


def group_locked(group_id: int) -> Group:
    """The group, held: nobody joins, pays or ends it meanwhile. Raises `NotFound`."""
    try:
        return lock_one(Group.objects.filter(pk=group_id), LockRank.GROUP)
    except Group.DoesNotExist:
        raise NotFound from None


def invoice_locked(invoice_id: int) -> Invoice:
    """The request for an invoice, held like a part of its order. Raises `NotFound`."""
    try:
        return lock_one(Invoice.objects.filter(pk=invoice_id), LockRank.ORDER)
    except Invoice.DoesNotExist:
        raise NotFound from None


def refund_due_locked(at: datetime) -> Refund | None:
    """The longest-waiting due refund whose payment nobody holds, with that payment, both held.

    The payment is held so that refunds of one payment are asked for one after the other.
    """
    note_rank(LockRank.PAYMENT)
    note_rank(LockRank.REFUND)
    return (
        Refund.objects.filter(next_check_at__lte=at)
        .select_related("payment")
        .order_by("next_check_at", "pk")
        .select_for_update(of=("self", "payment"), skip_locked=True)
        .first()
    )


def gifts_locked(order_id: int) -> list[Gift]:
    """Every code of the order's gift lines, by line and number, held: nobody claims one now."""
    gifts = lock_all(Gift.objects.filter(line__order_id=order_id), LockRank.GIFT)
    return sorted(gifts, key=lambda gift: (gift.line_id, gift.number))


def claim_one(
    due: QuerySet[M],
    *,
    field: str,
    rank: LockRank,
    again: Callable[[M], datetime],
    counter: str = "checks",
) -> M | None:
    """The longest-waiting row of `due` that nobody holds, put off until `again(row)`.

    The new moment is the lease: a process that dies leaves a row that becomes due again.
    Must be committed before anything is asked of the platform.
    """
    note_rank(rank)
    row = due.order_by(field, "pk").select_for_update(of=("self",), skip_locked=True).first()
    if row is None:
        return None
    setattr(row, field, again(row))
    changed = [field]
    if hasattr(row, counter):
        setattr(row, counter, getattr(row, counter) + 1)
        changed.append(counter)
    row.save(update_fields=changed)
    return row


def claim_many(
    due: QuerySet[M], *, field: str, rank: LockRank, again: Callable[[M], datetime], most: int
) -> list[M]:
    """As `claim_one`, for things that are asked about together; nothing is counted."""
    note_rank(rank)
    rows = list(due.order_by(field, "pk").select_for_update(of=("self",), skip_locked=True)[:most])
    for row in rows:
        setattr(row, field, again(row))
        row.save(update_fields=[field])
    return rows
