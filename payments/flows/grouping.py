"""Groups whose time is over."""

import logging

from kernel.transactions import retrying
from payments.errors import RefundNotByMerchant
from payments.flows.ending import order_expire
from payments.models import Group, Order
from payments.selling import living_orders
from payments.services.returns import group_fail, group_member_refund, group_settled

logger = logging.getLogger(__name__)


def group_end(group: Group) -> None:
    """The overdue group failed, its unpaid orders are closed and its members' money is on its way
    back; members who can't be dealt with now are left for the next look."""
    if retrying(lambda: group_fail(group_id=group.pk)).status != Group.Status.FAILED:
        return
    for order in living_orders(group.pk).filter(status=Order.Status.PENDING).order_by("pk"):
        order_expire(order)
    for order in living_orders(group.pk).exclude(status=Order.Status.PENDING).order_by("pk"):
        _give_back(order)
    if not living_orders(group.pk).filter(status=Order.Status.PENDING).exists():
        group_settled(group_id=group.pk)


def _give_back(order: Order) -> None:
    try:
        retrying(lambda: group_member_refund(order_id=order.pk))
    except RefundNotByMerchant:
        # The payer has to ask Apple; a person tells them.
        logger.error("order %s of a failed group can't be refunded by us", order.no)
