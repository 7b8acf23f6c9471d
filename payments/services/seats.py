"""Seats in a group: how money and refunds of members count."""

from kernel import clock
from payments.errors import AlreadyInGroup, GroupFull, GroupOver
from payments.locks import group_locked
from payments.models import Group, Order
from payments.selling import living_orders


def seat_free(group: Group, user_id: int) -> None:
    """The held, open group has a seat for this user. Raises what is in the way."""
    if group.status != Group.Status.OPEN or group.expires_at <= clock.now():
        raise GroupOver(status=group.status)
    taken = list(living_orders(group.pk).values_list("user_id", "no"))
    mine = next((no for member, no in taken if member == user_id), None)
    if mine is not None:
        raise AlreadyInGroup(order_no=mine)
    if len(taken) >= group.size:
        raise GroupFull(size=group.size)


def group_member_paid(order: Order) -> Group:
    """One more member's money came; with the last one the group is complete.

    The order is held and about to be paid. A pending one has a seat; a closed one needs a free
    one. Holds the group. Raises `GroupOver`, `GroupFull`, `AlreadyInGroup`.
    """
    group = group_locked(order.group_id or 0)
    if group.status != Group.Status.OPEN:
        raise GroupOver(status=group.status)
    if order.status != Order.Status.PENDING:
        seat_free(group, order.user_id)
    group.paid_count += 1
    if group.paid_count >= group.size:
        group.status = Group.Status.COMPLETE
        group.ended_at = clock.now()
        group.next_sweep_at = None
    group.save(update_fields=["paid_count", "status", "ended_at", "next_sweep_at"])
    return group


def group_member_left(order: Order) -> None:
    """A member's order was refunded in full: the seat is free again while the group is open.

    A complete group stays complete, and a failed one failed. Called once per order, in the
    transaction of the refund, with order, payment and refund held; orders without a group are
    passed over. Holds the group.
    """
    if order.group_id is None:
        return
    group = group_locked(order.group_id)
    if group.status != Group.Status.OPEN:
        return
    group.paid_count = max(0, group.paid_count - 1)
    group.save(update_fields=["paid_count"])
