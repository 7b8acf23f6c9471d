"""What an order holds: its coupon and its points, from the moment it is made until it ends.

Each function runs in the caller's transaction with the order's row locked, and takes the coupon
before the points wallet.
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from incentives import ledger
from incentives.errors import CouponNotFound, CouponUnusable
from incentives.locks import coupon_locked, wallet_locked
from incentives.models import Coupon, PointEntry
from kernel import clock


@transaction.atomic
def coupon_reserve(*, coupon_id: int, user_id: int, order_no: str, value_fen: int) -> None:
    """The coupon is held by this order. Raises CouponNotFound or CouponUnusable."""
    coupon = _coupon_of(coupon_id, user_id)
    if coupon.status == Coupon.Status.RESERVED and coupon.order_no == order_no:
        return
    check_free(coupon)
    if value_fen > coupon.value_fen:
        raise CouponUnusable(reason="below_floor")
    coupon.status = Coupon.Status.RESERVED
    coupon.order_no = order_no
    coupon.save(update_fields=["status", "order_no"])


def check_free(coupon: Coupon, *, at: datetime | None = None) -> None:
    """Raise CouponUnusable unless the coupon can be put on an order now (or at `at`)."""
    if coupon.status == Coupon.Status.RESERVED:
        raise CouponUnusable(reason="held")
    if coupon.status == Coupon.Status.REDEEMED:
        raise CouponUnusable(reason="used")
    if coupon.status == Coupon.Status.EXPIRED or coupon.expires_at <= (at or clock.now()):
        raise CouponUnusable(reason="expired")


def _coupon_of(coupon_id: int, user_id: int) -> Coupon:
    try:
        coupon = coupon_locked(coupon_id)
    except Coupon.DoesNotExist:
        raise CouponNotFound from None
    if coupon.user_id != user_id:
        raise CouponNotFound
    return coupon


@transaction.atomic
def coupon_redeem(*, coupon_id: int, order_no: str) -> None:
    """The coupon that this order holds is used up. A repeat changes nothing."""
    coupon = coupon_locked(coupon_id)
    if coupon.status == Coupon.Status.RESERVED and coupon.order_no == order_no:
        coupon.status = Coupon.Status.REDEEMED
        coupon.save(update_fields=["status"])


@transaction.atomic
def coupon_release(*, coupon_id: int, order_no: str) -> None:
    """What this order held is free again, or expired when its time is over meanwhile."""
    coupon = coupon_locked(coupon_id)
    if coupon.status not in Coupon.HELD or coupon.order_no != order_no:
        return
    over = coupon.expires_at <= clock.now()
    coupon.status = Coupon.Status.EXPIRED if over else Coupon.Status.RELEASED
    coupon.order_no = ""
    coupon.save(update_fields=["status", "order_no"])


@transaction.atomic
def points_reserve(*, user_id: int, points: int, order_no: str) -> None:
    """The points leave the wallet at once, from the lots that expire first.

    Raises PointsInsufficient. An order that died and is taken up again spends under
    `<order_no>#<n>`: the entries of its first life stay as they are.
    """
    wallet = wallet_locked(user_id)
    lives = (
        PointEntry.objects.filter(user_id=user_id, order_no=order_no, kind=PointEntry.Kind.SPEND)
        .values_list("ref", flat=True)
        .distinct()
        .count()
    )
    ledger.points_take(
        wallet,
        points=points,
        order_no=order_no,
        ref=order_no if lives == 0 else f"{order_no}#{lives + 1}",
        text=_("订单抵扣"),
    )


@transaction.atomic
def points_release(*, user_id: int, order_no: str) -> int:
    """The order died: all points that it still holds go back to their lots. Returns how many."""
    wallet = wallet_locked(user_id)
    lives = (
        PointEntry.objects.filter(
            user_id=user_id,
            order_no=order_no,
            kind=PointEntry.Kind.SPEND_RETURN,
        )
        .values_list("ref", flat=True)
        .distinct()
        .count()
    )
    return ledger.points_return(
        wallet,
        order_no=order_no,
        points=None,
        ref=order_no if lives == 0 else f"{order_no}#{lives + 1}",
        text=_("订单取消，积分退回"),
    )


@transaction.atomic
def points_give_back(*, user_id: int, order_no: str, out_refund_no: str, points: int) -> int:
    """A refund succeeded: its share of the order's points goes back. Returns how many."""
    wallet = wallet_locked(user_id)
    if PointEntry.objects.filter(
        user_id=user_id, kind=PointEntry.Kind.SPEND_RETURN, ref=out_refund_no
    ).exists():
        return 0
    return ledger.points_return(
        wallet,
        order_no=order_no,
        points=points,
        ref=out_refund_no,
        text=_("退款，积分退回"),
    )
