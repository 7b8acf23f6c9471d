"""What payments asks of the apps above it, inside the caller's transaction.

A `DiscountSource` turns a coupon and points into reductions of an order's price. It is called
with the order row locked (or just made), so whatever it writes lives and dies with the order.
Lock order: order → payment → refund → subscription → **coupon → points wallet** → ledger
accounts → entitlement; a source takes its own rows in that order through `kernel.locks`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from django.utils.module_loading import import_string


@dataclass(frozen=True)
class OfferLine:
    """One thing that is about to be bought, after list, promotional and member price."""

    line_no: int  # 1, 2, … within the order
    product_id: int
    kind: str  # course | bundle | plan | gift
    scope: str  # opaque, e.g. "course:12"; empty for gifts
    quantity: int
    price_fen: int  # for the whole quantity, ≥ 0: what coupon and points may still reduce


@dataclass(frozen=True)
class Discounts:
    """What coupon and points take off, in fen, for all lines together.

    Payments spreads each amount over the lines by largest remainder. Empty (the default) means
    that neither applies. `coupon_fen + points_value_fen` never exceeds the lines' prices.
    """

    coupon_id: int | None = None
    coupon_fen: int = 0  # ≥ 0
    coupon_text: str = ""  # Chinese, for the buyer: "满100减20"
    coupon_lines: tuple[int, ...] = ()  # line_no's the coupon counts for; empty = all
    points: int = 0  # points to spend, ≥ 0
    points_value_fen: int = 0  # what they are worth, ≥ 0
    points_text: str = ""  # "200 积分抵 2.00 元"


@dataclass(frozen=True)
class OrderDiscounts:
    """The part of an order that belongs to the source: what was promised to its buyer."""

    order_id: int
    order_no: str
    user_id: int
    payable_fen: int
    coupon_id: int | None
    coupon_fen: int
    points: int
    points_value_fen: int


@dataclass(frozen=True)
class RefundShare:
    """What a succeeded refund of a paid order gives back."""

    refund_id: int
    out_refund_no: str
    amount_fen: int  # money that went back now
    points: int  # points to return now; the sum over all refunds of an order is its points
    full: bool  # true when nothing of the order is left: its coupon may live again


class DiscountSource(Protocol):
    """Coupons and points, as payments sees them."""

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
        """What this coupon and these points would take off `payable_fen`. Reads only, no locks.

        `at` is the moment that counts, now when left out.

        `points` is what the buyer wishes to spend: the source may lower it to the order's cap
        (a share of what is payable after the coupon). Raises a `DomainError` when the coupon is
        not this user's, is spent, expired or does not fit, or when the balance is too small
        (409 `points_insufficient`).
        """
        ...

    def best(
        self,
        *,
        user_id: int,
        lines: Sequence[OfferLine],
        payable_fen: int,
        at: datetime | None = None,
    ) -> Discounts:
        """Of all that `offer` would allow this user, what leaves the least to pay. Reads only.

        One of the user's coupons (or none), then points up to the order's cap. Where several
        leave the same: the fewest points, then no coupon, then the one that expires first. A
        fixed number of queries, whatever the user holds.
        """
        ...

    def reserve(self, order: OrderDiscounts) -> None:
        """Hold exactly what was offered for this pending order, or raise a `DomainError` (409).

        Called in the transaction that makes the order; raising undoes the order too. Called
        again for an order that was released, when late money revives it. Not called when the
        order uses neither coupon nor points.
        """
        ...

    def redeem(self, order: OrderDiscounts) -> None:
        """The order is paid: the coupon is spent, the points are gone for good.

        Called once, after `reserve`, with the order locked. Must not fail for a held reservation.
        """
        ...

    def release(self, order: OrderDiscounts) -> None:
        """The order died unpaid: coupon and points are free again. Called once per order."""
        ...

    def give_back(self, order: OrderDiscounts, refund: RefundShare) -> None:
        """A refund of the paid order succeeded: return points (and the coupon, by its rule).

        Called once per `refund.out_refund_no`, with order, payment and refund locked.
        """
        ...


class NoDiscounts:
    """The source of a shop without coupons and points: it offers nothing and holds nothing."""

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
        return Discounts()

    def best(
        self,
        *,
        user_id: int,
        lines: Sequence[OfferLine],
        payable_fen: int,
        at: datetime | None = None,
    ) -> Discounts:
        return Discounts()

    def reserve(self, order: OrderDiscounts) -> None:
        return None

    def redeem(self, order: OrderDiscounts) -> None:
        return None

    def release(self, order: OrderDiscounts) -> None:
        return None

    def give_back(self, order: OrderDiscounts, refund: RefundShare) -> None:
        return None


_source: DiscountSource | str = NoDiscounts()


def register_discount_source(source: DiscountSource | str) -> None:
    """From now on `source`, or what stands at its dotted path, prices coupons and points.

    Called in `AppConfig.ready()`; a path is imported when the first price is asked for.
    """
    global _source
    _source = source


def discount_source() -> DiscountSource:
    """The registered source; `NoDiscounts` until an app above registers one."""
    global _source
    if isinstance(_source, str):
        _source = cast("DiscountSource", import_string(_source))
    return _source


# (user_id, scope) → basis points of the scope that the user has used, 0 to 10,000.
WatchedSource = Callable[[int, str], int]

_watched: WatchedSource | str = ""


def register_watched_source(source: WatchedSource | str) -> None:
    """From now on `source`, or what stands at its dotted path, says how much was used.

    Refund policies ask it. Called in `AppConfig.ready()`; a path is imported when first asked.
    """
    global _watched
    _watched = source


def watched_bp(user_id: int, scope: str) -> int:
    """How much of `scope` the user has used, in basis points; 0 while nobody above can tell."""
    global _watched
    if isinstance(_watched, str):
        if not _watched:
            return 0
        _watched = cast("WatchedSource", import_string(_watched))
    return _watched(user_id, scope)
