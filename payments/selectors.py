"""Reads of payments, each in a fixed number of queries."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import F, Prefetch, Q, QuerySet

from kernel import clock
from kernel.errors import NotFound
from payments import rules
from payments.models import (
    ChannelRule,
    Entitlement,
    Order,
    OrderLine,
    Payment,
    Plan,
    Product,
    Refund,
    RefundLine,
    XpayItem,
)
from payments.models.products import Channel

if TYPE_CHECKING:
    from accounts.models import User

# D5: the platform's own refunds bear numbers that we did not make.
_REFUND_NO = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")


def _living(at: datetime) -> Q:
    return Q(revoked_at__isnull=True, valid_from__lte=at) & (
        Q(valid_until__isnull=True) | Q(valid_until__gt=at)
    )


def entitled(user_id: int, scope: str) -> bool:
    """Whether the user may use `scope` now."""
    return Entitlement.objects.filter(_living(clock.now()), user_id=user_id, scope=scope).exists()


def entitled_scopes(
    user_id: int, scopes: Collection[str] | None = None, *, at: datetime | None = None
) -> set[str]:
    """Every scope the user may use now (or at `at`); only those of `scopes` when given."""
    rows = Entitlement.objects.filter(_living(at or clock.now()), user_id=user_id)
    if scopes is not None:
        rows = rows.filter(scope__in=scopes)
    return set(rows.values_list("scope", flat=True))


def entitlement_for(user_id: int, scopes: Collection[str]) -> Entitlement | None:
    """The living right to any of `scopes` that lasts longest; None without one."""
    return (
        Entitlement.objects.filter(_living(clock.now()), user_id=user_id, scope__in=scopes)
        .order_by(F("valid_until").desc(nulls_first=True), "pk")
        .first()
    )


def period_covered_until(user_id: int, scope: str, at: datetime) -> datetime | None:
    """The end of the last living or coming period of `scope`; None when nothing runs."""
    return (
        Entitlement.objects.filter(
            user_id=user_id, scope=scope, revoked_at__isnull=True, valid_until__gt=at
        )
        .order_by("-valid_until")
        .values_list("valid_until", flat=True)
        .first()
    )


def products_for_scopes(scopes: Iterable[str]) -> dict[str, list[Product]]:
    """Products on sale by scope, cheapest first; scopes without one are left out.

    Gifts open nothing for their buyer, so they are not among them.
    """
    found: dict[str, list[Product]] = {}
    products = Product.objects.filter(scope__in=list(scopes), active=True).exclude(
        kind=Product.Kind.GIFT
    )
    for product in products.order_by("price_fen", "pk"):
        found.setdefault(product.scope, []).append(product)
    return found


@dataclass(frozen=True)
class ChannelTable:
    """What may be sold where on one platform, read once per request."""

    platform: str
    rules: Mapping[tuple[str, str], bool]

    def channels(self, product: Product) -> list[str]:
        """The product's own channels that may be used on this platform for its price now.

        Virtual payment sells a published item: one that is on its way counts here (the shelf
        shows the price, paying says that it takes a while), one that failed does not. Callers
        that ask about many products prefetch `xpay_items`.
        """
        return [
            channel
            for channel in product.channels
            if self.allows(channel, product)
            and (channel != Channel.VIRTUAL or self._sold_as_item(product))
        ]

    def allows(self, channel: str, product: Product) -> bool:
        """Whether product and table name this channel, whatever the price."""
        if channel not in product.channels:
            return False
        for key in ((channel, product.kind), (channel, "")):
            if key in self.rules:
                return self.rules[key]
        return rules.channel_default(self.platform, channel)

    def _sold_as_item(self, product: Product) -> bool:
        price_fen = product.price_at(clock.now())
        if price_fen == 0:
            return True
        if not _virtual_possible(price_fen, self.platform):
            return False
        items = product.xpay_items.all()
        return not items or any(
            item.price_fen >= price_fen and item.state != XpayItem.State.FAILED for item in items
        )


def channel_table(platform: str) -> ChannelTable:
    """The default table with the operators' rules for one platform over it."""
    rows = ChannelRule.objects.filter(platform=platform)
    return ChannelTable(platform, {(r.channel, r.kind): r.allowed for r in rows})


def usable_item(product: Product, price_fen: int, platform: str) -> XpayItem | None:
    """The published item that can sell `product` for `price_fen` on this platform now.

    The one of exactly that price, else the next dearer one: it is then sold for less
    (`activitySellingPrice`).
    """
    if not _virtual_possible(price_fen, platform):
        return None
    at = clock.now()
    usable = [
        item
        for item in product.xpay_items.all()
        if item.state == XpayItem.State.PUBLISHED
        and item.usable_at is not None
        and item.usable_at <= at
        and item.price_fen >= price_fen
    ]
    return min(usable, key=lambda item: (item.price_fen, item.pk), default=None)


def _virtual_possible(price_fen: int, platform: str) -> bool:
    wechat = settings.KPAY.wechat
    if not wechat.xpay_offer_id:
        return False
    return rules.virtual_possible(platform, price_fen, wechat.xpay_env)


def attempt(out_trade_no: str) -> Payment | None:
    """The attempt to pay that has this number."""
    return Payment.objects.filter(out_trade_no=out_trade_no).first()


def refund_numbered(out_refund_no: str) -> Refund | None:
    """The refund that has this number, with its payment."""
    return Refund.objects.select_related("payment").filter(out_refund_no=out_refund_no).first()


def refund_by_buyer(out_refund_no: str) -> bool:
    """Whether the buyer asked for it (and not the shop or nobody)."""
    return Refund.objects.filter(out_refund_no=out_refund_no, cause=Refund.Cause.USER).exists()


def get_product(product_id: int) -> Product:
    """A product on sale, with its plan. Raises `NotFound`."""
    try:
        return Product.objects.select_related("plan").get(pk=product_id, active=True)
    except Product.DoesNotExist:
        raise NotFound from None


def plans_on_sale() -> list[Plan]:
    """Every plan that is sold, in the operators' order."""
    return list(
        Plan.objects.filter(product__active=True)
        .select_related("product")
        .prefetch_related("product__xpay_items")
        .order_by("position", "product__price_fen", "pk")
    )


def get_orders_for_user(*, user: "User") -> QuerySet[Order]:
    """The user's orders, newest first, with lines and refunds: three queries for any number."""
    return (
        Order.objects.filter(user_id=user.pk)
        .prefetch_related(
            Prefetch("lines", OrderLine.objects.order_by("line_no")),
            Prefetch("refunds", Refund.objects.order_by("pk")),
        )
        .order_by("-created_at", "-pk")
    )


def get_order_for_user(*, user: "User", no: str) -> Order:
    """The user's order. Raises `NotFound`, also for an order of somebody else."""
    if not no.isascii() or not no.isdigit() or len(no) > 24:
        raise NotFound
    try:
        return get_orders_for_user(user=user).get(no=no)
    except Order.DoesNotExist:
        raise NotFound from None


def get_refund_for_user(*, user: "User", no: str) -> Refund:
    """A refund of one of the user's orders. Raises `NotFound`."""
    if not _REFUND_NO.fullmatch(no):
        raise NotFound
    parts = RefundLine.objects.select_related("line").order_by("line__line_no")
    refunds = Refund.objects.select_related("order").prefetch_related(Prefetch("lines", parts))
    try:
        return refunds.get(out_refund_no=no, order__user_id=user.pk)
    except Refund.DoesNotExist:
        raise NotFound from None
