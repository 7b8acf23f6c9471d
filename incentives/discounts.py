"""The port through which payments asks for coupons and points (`payments.ports`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from incentives import rules
from incentives.errors import CouponNotFound, CouponUnusable, PointsInsufficient
from incentives.models import Coupon
from incentives.selectors import get_coupons_for_user, points_balance, short_yuan
from incentives.services import reservations
from kernel import clock
from kernel.money import yuan
from payments.ports import Discounts, OfferLine, OrderDiscounts, RefundShare


@dataclass(frozen=True)
class _CouponPart:
    """What a coupon takes off, and the lines it counts for."""

    coupon: Coupon | None = None
    fen: int = 0
    text: str = ""
    lines: tuple[int, ...] = ()


NO_COUPON = _CouponPart()


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
        at: datetime | None = None,
    ) -> Discounts:
        """What they would take off at that moment (now when left out). Reads only.

        Points above the order's cap are lowered to it. Raises CouponNotFound, CouponUnusable,
        PointsInsufficient (when the balance is below what the buyer asked to spend).
        """
        at = at or clock.now()
        part = NO_COUPON
        if coupon_id is not None:
            coupon = get_coupons_for_user(user_id=user_id).filter(pk=coupon_id).first()
            if coupon is None:
                raise CouponNotFound
            part = _coupon_part(coupon, lines, at)
        if points > 0:
            balance = points_balance(user_id, at=at)
            if points > balance:
                raise PointsInsufficient(balance=balance, points=points)
        return _with_points(part, points, payable_fen)

    def best(
        self,
        *,
        user_id: int,
        lines: Sequence[OfferLine],
        payable_fen: int,
        at: datetime | None = None,
    ) -> Discounts:
        """The cheapest of every free coupon (and none) with as many points as the cap allows.

        Two queries. A point is always worth something, so more of them never cost more.
        """
        at = at or clock.now()
        balance = points_balance(user_id, at=at)
        parts = [NO_COUPON]
        for coupon in get_coupons_for_user(user_id=user_id).filter(status__in=Coupon.FREE):
            try:
                parts.append(_coupon_part(coupon, lines, at))
            except CouponUnusable:
                continue
        found = [(part, _with_points(part, balance, payable_fen)) for part in parts]
        _part, offer = min(found, key=lambda pair: _merit(*pair))
        return offer

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


def _merit(part: _CouponPart, offer: Discounts) -> tuple[int, int, bool, float, int]:
    """The smallest is the best: most taken off, fewest points, no coupon, the soonest to expire."""
    taken = offer.coupon_fen + offer.points_value_fen
    if part.coupon is None:
        return -taken, offer.points, False, 0.0, 0
    return -taken, offer.points, True, part.coupon.expires_at.timestamp(), part.coupon.pk


def _coupon_part(coupon: Coupon, lines: Sequence[OfferLine], at: datetime) -> _CouponPart:
    reservations.check_free(coupon, at=at)
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
        coupon=coupon,
        fen=min(coupon.value_fen, worth),
        text=_coupon_text(coupon),
        lines=() if everything else tuple(line.line_no for line in covered),
    )


def _coupon_text(coupon: Coupon) -> str:
    off = short_yuan(coupon.value_fen)
    if coupon.min_fen:
        return _("满%(floor)s减%(off)s") % {"floor": short_yuan(coupon.min_fen), "off": off}
    return _("立减%(off)s元") % {"off": off}


def _with_points(part: _CouponPart, points: int, payable_fen: int) -> Discounts:
    """The coupon's part, and as many of `points` as the cap of what is left allows."""
    cap = rules.points_cap(
        payable_fen - part.fen,
        cap_bp=settings.KPAY.points_cap_bp,
        value_fen=settings.KPAY.points_value_fen,
    )
    spent = max(0, min(points, cap))
    value = spent * settings.KPAY.points_value_fen
    return Discounts(
        coupon_id=None if part.coupon is None else part.coupon.pk,
        coupon_fen=part.fen,
        coupon_text=part.text,
        coupon_lines=part.lines,
        points=spent,
        points_value_fen=value,
        points_text=_points_text(spent, value) if spent else "",
    )


def _points_text(points: int, value_fen: int) -> str:
    return _("%(points)s 积分抵 %(yuan)s 元") % {"points": points, "yuan": yuan(value_fen)}
