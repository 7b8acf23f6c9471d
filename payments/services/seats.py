"""Seats in a group. A member's refund frees one in `services.refunds.follow`."""

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
