"""What goes back though nobody asked: gifts that nobody claimed, groups that did not fill."""

from datetime import datetime, timedelta

from django.db import transaction

from kernel import clock
from kernel.locks import LockRank, note_rank
from payments.errors import RefundNotByMerchant
from payments.locks import gifts_locked, group_locked, order_locked
from payments.models import Gift, Group, Order
from payments.services.refunds import refund_by_shop

# Where the money can't go back through us (Apple took it), the code lives on.
_LONGER = timedelta(days=30)


@transaction.atomic
def gifts_return(*, order_id: int) -> int:
    """Overdue gifts of the order can't be claimed any more and their worth is on its way back,
    in one refund; those worth nothing are returned at once. Returns how many.

    A gift claimed meanwhile stays claimed. Holds the order, its payment and its gifts.
    """
    at = clock.now()
    overdue = Gift.objects.filter(
        line__order_id=order_id, status=Gift.Status.ISSUED, expires_at__lte=at
    )
    order_locked(order_id)
    worth = list(overdue.filter(amount_fen__gt=0).values_list("pk", flat=True))
    longer = False
    if worth:
        try:
            with transaction.atomic():
                refund_by_shop(order_id=order_id, reason="礼品到期未领取", gift_ids=worth)
        except RefundNotByMerchant:
            longer = True
    left = [
        gift
        for gift in gifts_locked(order_id)
        if gift.status == Gift.Status.ISSUED and gift.expires_at <= at
    ]
    for gift in left:
        if longer and gift.amount_fen:
            gift.expires_at = gift.next_sweep_at = at + _LONGER
        else:
            # Worth nothing, or its worth went back by another refund.
            gift.next_sweep_at = None
            if not gift.amount_fen:
                gift.status = Gift.Status.RETURNED
        gift.save(update_fields=["status", "expires_at", "next_sweep_at"])
    return len(worth) + len(left)


def next_gift_sweep(gift: Gift) -> datetime:
    """When an overdue gift is tried again if it could not be returned now."""
    return clock.now() + timedelta(minutes=5)


@transaction.atomic
def group_fail(*, group_id: int) -> Group:
    """The group whose time is over is failed: it takes no more members and no more money.

    One that is complete or failed stays as it is. Holds the group.
    """
    group = group_locked(group_id)
    if group.status == Group.Status.OPEN and group.expires_at <= clock.now():
        group.status = Group.Status.FAILED
        group.ended_at = clock.now()
        group.save(update_fields=["status", "ended_at"])
    return group


@transaction.atomic
def group_member_refund(*, order_id: int) -> None:
    """All that this paid member of a failed group paid is on its way back. A repeat, and a member
    who has nothing left to get, change nothing. Holds order and payment."""
    order = order_locked(order_id)
    if order.status in (Order.Status.PAID, Order.Status.PARTIALLY_REFUNDED):
        refund_by_shop(order_id=order_id, reason="未成团")


@transaction.atomic
def group_settled(*, group_id: int) -> None:
    """Every member of the failed group is dealt with: nobody has to look at it any more."""
    note_rank(LockRank.GROUP)
    Group.objects.filter(pk=group_id, status=Group.Status.FAILED).update(next_sweep_at=None)


def next_group_sweep(group: Group) -> datetime:
    """When a group is looked at again if some member could not be dealt with now."""
    return clock.now() + timedelta(seconds=30)
