"""Gifts: buying them for others, and claiming them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from kernel import clock
from payments.errors import AlreadyOwned, GiftClaimed, GiftReturned
from payments.locks import buyer_turn, gift_locked
from payments.models import Entitlement, Gift, Order
from payments.selectors import entitled
from payments.services.codes import code_hash
from payments.services.entitlements import entitlement_grant
from payments.services.orders import order_make
from payments.services.pricing import Terms

if TYPE_CHECKING:
    from accounts.models import User


@dataclass(frozen=True)
class Claimed:
    """What a code opened, and for whom since when."""

    gift: Gift
    entitlement: Entitlement


@transaction.atomic
def gift_claim(*, user: "User", code: str) -> Claimed:
    """The user may use what the code opens, and nobody else can claim it any more.

    The same claimer's repeat gives the same answer. Holds the claimer's turn and the gift.
    Raises `NotFound`, `GiftClaimed`, `GiftReturned` (its time is over, or its money goes back)
    and, so that no gift is wasted, `AlreadyOwned`.
    """
    buyer_turn(user.pk)
    gift = gift_locked(code_hash(code))
    at = clock.now()
    if gift.status != Gift.Status.CLAIMED:
        if gift.status != Gift.Status.ISSUED or gift.expires_at <= at:
            raise GiftReturned
        if entitled(user.pk, gift.scope):
            raise AlreadyOwned(scopes=[gift.scope])
        gift.status = Gift.Status.CLAIMED
        gift.claimed_by_id = user.pk
        gift.claimed_at = at
        gift.next_sweep_at = None
        gift.save(update_fields=["status", "claimed_by", "claimed_at", "next_sweep_at"])
    elif gift.claimed_by_id != user.pk:
        raise GiftClaimed
    right = entitlement_grant(
        user_id=user.pk,
        scope=gift.scope,
        source=Entitlement.Source.GIFT,
        source_ref=str(gift.pk),
    )
    return Claimed(gift, right)


@transaction.atomic
def gift_order(
    *,
    user: "User",
    product_id: int,
    quantity: int,
    platform: str,
    coupon_id: int | None = None,
    points: int = 0,
    message: str = "",
) -> Order:
    """An order over `quantity` codes of a course or of a gift; they exist once it is paid.

    The buyer may own what is given. Raises what `order_make` does.
    """
    return order_make(
        user=user,
        items=[{"product_id": product_id, "quantity": quantity}],
        platform=platform,
        coupon_id=coupon_id,
        points=points,
        terms=Terms(as_gift=True, message=message),
    )
