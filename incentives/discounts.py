"""The port through which payments asks for coupons and points (`payments.ports`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from incentives import rules
from incentives.errors import CouponNotFound, CouponUnusable, PointsInsufficient
from incentives.models import Coupon
from incentives.selectors import get_coupons_for_user, points_balance, short_yuan
from incentives.services import reservations
from kernel.money import yuan
from payments.ports import Discounts, OfferLine, OrderDiscounts, RefundShare


@dataclass(frozen=True)
class _CouponPart:
    """What a coupon takes off, and the lines it counts for."""

    fen: int = 0
    text: str = ""
    lines: tuple[int, ...] = ()


class PointsAndCoupons:
    """One coupon first, then points up to their cap of what is payable after it."""

    def offer(
        self,
        *,
        user_id: int,
        lines: Sequence[OfferLine],
        coupon_id: int | None,
        points: int,
        payable_fen: int,
    ) -> Discounts:
        """What they would take off now. Reads only.

        Points above the order's cap are lowered to it. Raises CouponNotFound, CouponUnusable,
        PointsInsufficient (when the balance is below what the buyer asked to spend).
        """
        coupon = _CouponPart()
        if coupon_id is not None:
            coupon = _coupon_part(user_id, coupon_id, lines)
        spent = _points_part(user_id, points, payable_fen - coupon.fen)
        value = spent * settings.KPAY.points_value_fen
        return Discounts(
            coupon_id=coupon_id,
            coupon_fen=coupon.fen,
            coupon_text=coupon.text,
            coupon_lines=coupon.lines,
            points=spent,
            points_value_fen=value,
            points_text=_points_text(spent, value) if spent else "",
        )

    def reserve(self, order: OrderDiscounts) -> None:
        """Hold the coupon and take the points, or raise: then the order is not made either."""
        if order.coupon_id is not None:
            reservations.coupon_reserve(
                coupon_id=order.coupon_id,
                user_id=order.user_id,
                order_no=order.order_no,
                value_fen=order.coupon_fen,
            )
        if order.points:
            reservations.points_reserve(
                user_id=order.user_id, points=order.points, order_no=order.order_no
            )

    def redeem(self, order: OrderDiscounts) -> None:
        """The coupon is used up. The points left the wallet when the order was made."""
        if order.coupon_id is not None:
            reservations.coupon_redeem(coupon_id=order.coupon_id, order_no=order.order_no)

    def release(self, order: OrderDiscounts) -> None:
        """Coupon and points are free again; a repeat changes nothing."""
        if order.coupon_id is not None:
            reservations.coupon_release(coupon_id=order.coupon_id, order_no=order.order_no)
        if order.points:
            reservations.points_release(user_id=order.user_id, order_no=order.order_no)

    def give_back(self, order: OrderDiscounts, refund: RefundShare) -> None:
        """The refund's share of the points goes back; the coupon when nothing is left."""
        if refund.full and order.coupon_id is not None:
            reservations.coupon_release(coupon_id=order.coupon_id, order_no=order.order_no)
        if refund.points:
            reservations.points_give_back(
                user_id=order.user_id,
                order_no=order.order_no,
                out_refund_no=refund.out_refund_no,
                points=refund.points,
            )


source = PointsAndCoupons()


def _coupon_part(user_id: int, coupon_id: int, lines: Sequence[OfferLine]) -> _CouponPart:
    coupon: Coupon | None = get_coupons_for_user(user_id=user_id).filter(pk=coupon_id).first()
    if coupon is None:
        raise CouponNotFound
    reservations.check_free(coupon)
    covered = [line for line in lines if rules.covers(coupon.template.scopes, line.scope)]
    worth = sum(line.price_fen for line in covered)
    if not worth:
        raise CouponUnusable(reason="out_of_scope")
    if worth < coupon.min_fen:
        raise CouponUnusable(
            _("满 %(floor)s 元才能使用这张优惠券。") % {"floor": short_yuan(coupon.min_fen)},
            reason="below_floor",
            min_fen=coupon.min_fen,
        )
    everything = len(covered) == len(lines)
    return _CouponPart(
        fen=min(coupon.value_fen, worth),
        text=_coupon_text(coupon),
        lines=() if everything else tuple(line.line_no for line in covered),
    )


def _coupon_text(coupon: Coupon) -> str:
    off = short_yuan(coupon.value_fen)
    if coupon.min_fen:
        return _("满%(floor)s减%(off)s") % {"floor": short_yuan(coupon.min_fen), "off": off}
    return _("立减%(off)s元") % {"off": off}


def _points_part(user_id: int, points: int, payable_fen: int) -> int:
    """Points that are spent of those asked for."""
    if points <= 0:
        return 0
    balance = points_balance(user_id)
    if points > balance:
        raise PointsInsufficient(balance=balance, points=points)
    cap = rules.points_cap(
        payable_fen,
        cap_bp=settings.KPAY.points_cap_bp,
        value_fen=settings.KPAY.points_value_fen,
    )
    return min(points, cap)


def _points_text(points: int, value_fen: int) -> str:
    return _("%(points)s 积分抵 %(yuan)s 元") % {"points": points, "yuan": yuan(value_fen)}
