"""Buying together: starting a group, and joining one."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from kernel import clock
from kernel.errors import NotFound
from payments.errors import NotSoldHere
from payments.locks import buyer_turn, group_locked
from payments.models import Group, GroupOffer, Order
from payments.services.orders import order_make
from payments.services.pricing import Terms
from payments.services.seats import seat_free

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic
def group_start(
    *,
    user: "User",
    platform: str,
    offer_id: int | None = None,
    product_id: int | None = None,
    points: int = 0,
) -> tuple[Group, Order]:
    """An open group on this offer (or on the product's), and its leader's pending order.

    Size, price and time of the offer hold for the group whatever becomes of the offer. Raises
    `NotFound` without such an offer, `NotSoldHere`, `AlreadyOwned`.
    """
    buyer_turn(user.pk)
    offers = GroupOffer.objects.filter(active=True)
    wanted = {"product_id": product_id} if offer_id is None else {"pk": offer_id}
    offer = offers.filter(**wanted).first()
    if offer is None:
        raise NotFound
    at = clock.now()
    until = at + timedelta(hours=offer.hours)
    group = Group.objects.create(
        offer=offer,
        leader=user,
        price_fen=offer.price_fen,
        size=offer.size,
        created_at=at,
        expires_at=until,
        next_sweep_at=until,
    )
    return group, _seat(group, offer, user, platform, points)


@transaction.atomic
def group_join(
    *, user: "User", group_id: int, platform: str, points: int = 0
) -> tuple[Group, Order]:
    """The user's pending order in an open group: never more orders to be paid or paid than seats.

    Holds the buyer's turn and the group. Raises `NotFound`, `GroupOver`, `GroupFull`,
    `AlreadyInGroup`, `AlreadyOwned`, `NotSoldHere`.
    """
    buyer_turn(user.pk)
    group = group_locked(group_id)
    seat_free(group, user.pk)
    offer = GroupOffer.objects.get(pk=group.offer_id)
    return group, _seat(group, offer, user, platform, points)


def _seat(group: Group, offer: GroupOffer, user: "User", platform: str, points: int) -> Order:
    order = order_make(
        user=user,
        items=[{"product_id": offer.product_id, "quantity": 1}],
        platform=platform,
        points=points,
        terms=Terms(group=group),
    )
    if not order.payable_fen:
        # A group that fails gives money back; what costs nothing is bought alone.
        raise NotSoldHere(product_id=str(offer.product_id))
    return order
