"""What things cost, for whom, where and when: a pure read, shared by quotes, orders and trials."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from kernel import clock
from kernel.errors import InvalidInput, NotFound
from kernel.money import yuan
from payments import bundles, rules, selectors
from payments.errors import AlreadyOwned, NotSoldHere
from payments.models import Group, Product
from payments.ports import Discounts, OfferLine, discount_source
from payments.selling import bundle_contents, owned_among, period_of, sellable_bundle

if TYPE_CHECKING:
    from accounts.models import User

MAX_ITEMS = 20
GIVEN = (Product.Kind.COURSE, Product.Kind.GIFT)


@dataclass(frozen=True)
class Terms:
    """How things are bought, where that is more than buying them for oneself."""

    as_gift: bool = False
    message: str = ""
    group: Group | None = None


PLAIN = Terms()


@dataclass(frozen=True)
class Priced:
    """A price explained. `before` are the lines without coupon and points."""

    before: tuple[rules.PricedLine, ...]
    lines: tuple[rules.PricedLine, ...]
    offer: Discounts

    @property
    def total_fen(self) -> int:
        return sum(line.list_fen for line in self.lines)

    @property
    def discount_fen(self) -> int:
        return sum(line.discount_fen for line in self.lines)

    @property
    def points_value_fen(self) -> int:
        return sum(line.points_value_fen for line in self.lines)

    @property
    def payable_fen(self) -> int:
        return sum(line.payable_fen for line in self.lines)

    @property
    def coupon_fen(self) -> int:
        steps = (step for line in self.lines for step in line.steps if step.rule == "coupon")
        return sum(-step.amount_fen for step in steps)


@dataclass(frozen=True)
class Better:
    """A coupon and points with which the same things cost less."""

    coupon_id: int | None
    points: int
    payable_fen: int
    saved_fen: int
    text: str


def price_now(
    *,
    user: "User | None",
    items: Sequence[Mapping[str, int]],
    platform: str,
    coupon_id: int | None = None,
    points: int = 0,
    best: bool = False,
    terms: Terms = PLAIN,
    at: datetime | None = None,
) -> Priced:
    """What `items` ([{product_id, quantity}]) cost this buyer at this moment. Stores nothing.

    `best` takes the cheapest coupon and points that the rules allow instead of those given;
    without a buyer neither counts, and no member price. Raises `NotFound` for an unknown product,
    `NotSoldHere`, `AlreadyOwned` for a bundle of owned things, `InvalidInput`, and what the
    discount source says about coupon and points.
    """
    at = at or clock.now()
    before = tuple(
        rules.price_line(item) for item in _Shelf(user, items, platform, terms, at).items()
    )
    offer = Discounts()
    if user is not None and best:
        offer = _best(user, before, at)
    elif user is not None and (coupon_id is not None or points > 0):
        offer = _offer(user, before, coupon_id, points, at)
        if terms.group is not None:
            offer = _leave_something(user, before, offer, at)
    lines = tuple(rules.apply_discounts(before, offer))
    return Priced(before, lines, offer)


def better_than(priced: Priced, *, user: "User") -> Better | None:
    """The best combination for the same lines; None when `priced` is as good. Reads only."""
    offer = _best(user, priced.before, clock.now())
    payable = sum(line.payable_fen for line in rules.apply_discounts(priced.before, offer))
    saved = priced.payable_fen - payable
    if saved <= 0:
        return None
    used = [offer.coupon_text] if offer.coupon_id is not None else []
    used += [offer.points_text] if offer.points else []
    text = _("使用%(used)s，可再省 %(saved)s 元。") % {
        "used": _("和").join(f"「{name}」" for name in used),
        "saved": yuan(saved),
    }
    return Better(offer.coupon_id, offer.points, payable, saved, text)


def offer_lines(lines: Sequence[rules.PricedLine]) -> list[OfferLine]:
    """The lines as the discount source sees them."""
    return [
        OfferLine(
            line_no=line.item.line_no,
            product_id=line.item.product_id,
            kind=line.item.kind,
            scope=line.item.scope,
            quantity=line.item.quantity,
            price_fen=line.payable_fen,
        )
        for line in lines
    ]


def _offer(
    user: "User",
    lines: Sequence[rules.PricedLine],
    coupon_id: int | None,
    points: int,
    at: datetime,
) -> Discounts:
    return discount_source().offer(
        user_id=user.pk,
        lines=offer_lines(lines),
        coupon_id=coupon_id,
        points=points,
        payable_fen=sum(line.payable_fen for line in lines),
        at=at,
    )


def _best(user: "User", lines: Sequence[rules.PricedLine], at: datetime) -> Discounts:
    return discount_source().best(
        user_id=user.pk,
        lines=offer_lines(lines),
        payable_fen=sum(line.payable_fen for line in lines),
        at=at,
    )


def _leave_something(
    user: "User", lines: Sequence[rules.PricedLine], offer: Discounts, at: datetime
) -> Discounts:
    """A seat in a group is paid with money: a group that fails gives money back."""
    payable = sum(line.payable_fen for line in lines)
    if offer.points and offer.points_value_fen >= payable:
        return _offer(user, lines, None, offer.points - 1, at)
    return offer


class _Shelf:
    """The products asked for, and all that their prices depend on, read once."""

    def __init__(
        self,
        user: "User | None",
        asked: Sequence[Mapping[str, int]],
        platform: str,
        terms: Terms,
        at: datetime,
    ) -> None:
        ids = [item["product_id"] for item in asked]
        if not ids or len(ids) > MAX_ITEMS or len(set(ids)) != len(ids):
            raise InvalidInput(fields={"items": [_("请选择 1 至 20 件不同的商品。")]})
        products = Product.objects.filter(pk__in=ids).select_related("plan")
        found = products.prefetch_related("xpay_items").in_bulk()
        if len(found) != len(ids):
            raise NotFound
        self.asked = [(found[item["product_id"]], item["quantity"]) for item in asked]
        self.terms = terms
        self.at = at
        self.table = selectors.channel_table(platform)
        self.contents = bundle_contents(
            [pk for pk, product in found.items() if _is_bundle(product)]
        )
        self.member_of = self._member_of(user, found.values())
        self.owned = self._owned(user, found.values())

    def items(self) -> list[rules.Item]:
        """One item per scope, numbered from 1. Raises `InvalidInput` for the same scope twice."""
        made = [item for product, count in self.asked for item in self._items(product, count)]
        scopes = [item.scope for item in made if item.scope]
        if len(set(scopes)) != len(scopes):
            raise InvalidInput(fields={"items": [_("同一内容不能重复购买。")]})
        return [replace(item, line_no=number) for number, item in enumerate(made, start=1)]

    def _items(self, product: Product, quantity: int) -> list[rules.Item]:
        given = self.terms.as_gift or product.kind == Product.Kind.GIFT
        self._check(product, quantity, given)
        item = self._item(product, quantity)
        if given:
            return [_as_gift(item, product, self.terms.message)]
        if not _is_bundle(product):
            return [item]
        return self._exploded(item, self.contents[product.pk])

    def _check(self, product: Product, quantity: int, given: bool) -> None:
        if not product.active or not self.table.channels(product):
            raise NotSoldHere(product_id=str(product.pk))
        if _is_bundle(product) and not sellable_bundle(self.contents[product.pk]):
            raise NotSoldHere(product_id=str(product.pk))
        if given and (product.kind not in GIVEN or not product.scope):
            raise InvalidInput(fields={"items": [_("该商品不能作为礼品赠送。")]})
        if given and self.terms.group is not None:
            raise NotSoldHere(product_id=str(product.pk))
        if quantity != 1 and not given:
            raise InvalidInput(fields={"items": [_("仅礼品可以购买多份。")]})

    def _item(self, product: Product, quantity: int) -> rules.Item:
        price_fen, rule = product.price_fen, "bundle" if _is_bundle(product) else "price"
        group = self.terms.group
        if group is not None and group.price_fen <= price_fen:
            price_fen, rule = group.price_fen, "group"
        return rules.Item(
            line_no=0,
            product_id=product.pk,
            kind=product.kind,
            title=product.title,
            scope=product.scope,
            period=period_of(product),
            quantity=quantity,
            list_fen=product.list_fen,
            price_fen=price_fen,
            promo_fen=product.price_at(self.at),
            member_fen=product.member_fen if product.member_scope in self.member_of else None,
            price_rule=rule,
        )

    def _exploded(self, bundle: rules.Item, contents: Sequence[Product]) -> list[rules.Item]:
        parts = [
            bundles.Part(
                title=product.title,
                scope=product.scope,
                period=period_of(product),
                list_fen=product.list_fen,
                price_fen=product.price_at(self.at),
                owned=product.scope in self.owned,
            )
            for product in contents
        ]
        if all(part.owned for part in parts):
            raise AlreadyOwned(scopes=sorted(part.scope for part in parts))
        own = bundle.scope != "" and bundle.scope not in self.owned
        return bundles.exploded(bundle, parts, own_scope=own)

    def _member_of(self, user: "User | None", products: Collection[Product]) -> set[str]:
        asked = {p.member_scope for p in products if p.member_fen is not None}
        if user is None or not asked:
            return set()
        return selectors.entitled_scopes(user.pk, asked, at=self.at)

    def _owned(self, user: "User | None", products: Collection[Product]) -> set[str]:
        """Scopes of bundles and of what is in them that the buyer has."""
        inside = [item for items in self.contents.values() for item in items]
        own = [product for product in products if _is_bundle(product)]
        if user is None or not own:
            return set()
        things = [(product.scope, period_of(product)) for product in (*own, *inside)]
        return owned_among(user.pk, things, at=self.at)


def _as_gift(item: rules.Item, product: Product, message: str) -> rules.Item:
    """A line without a scope: what its codes open is for others, so no member price of the buyer
    counts but one that the operators gave the gift itself."""
    return replace(
        item,
        kind=Product.Kind.GIFT,
        scope="",
        gives=product.scope,
        message=message,
        member_fen=item.member_fen if product.kind == Product.Kind.GIFT else None,
    )


def _is_bundle(product: Product) -> bool:
    return product.kind == Product.Kind.BUNDLE
