"""What something costs, explained step by step, and promised for a while."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kernel import clock
from kernel.errors import InvalidInput, NotFound
from payments import rules, selectors
from payments.errors import NotSoldHere
from payments.models import Product, Quote
from payments.ports import Discounts, OfferLine, discount_source

if TYPE_CHECKING:
    from accounts.models import User

# Bundles are exploded into lines and gifts have no scope; neither is sold yet.
SOLD_KINDS = frozenset({Product.Kind.COURSE, Product.Kind.PLAN})
MAX_ITEMS = 20


@transaction.atomic
def quote_make(
    *,
    user: "User",
    items: Sequence[Mapping[str, int]],
    platform: str,
    coupon_id: int | None = None,
    points: int = 0,
) -> Quote:
    """A stored price for `items` ([{product_id, quantity}]): nothing is reserved yet.

    Its lines add up to `payable_fen`; an order made from it before `expires_at` charges exactly
    that. Raises `NotFound` for an unknown product, `NotSoldHere`, `InvalidInput`, and what the
    discount source says about coupon and points.
    """
    lines = [rules.price_line(item) for item in _items(user, items, platform)]
    offer = _offer(user, lines, coupon_id, points)
    priced = rules.apply_discounts(lines, offer)
    at = clock.now()
    return Quote.objects.create(
        user_id=user.pk,
        platform=platform,
        coupon_id=offer.coupon_id,
        coupon_fen=sum(
            -step.amount_fen for line in priced for step in line.steps if step.rule == "coupon"
        ),
        points=offer.points,
        total_fen=sum(line.list_fen for line in priced),
        discount_fen=sum(line.discount_fen for line in priced),
        points_value_fen=sum(line.points_value_fen for line in priced),
        payable_fen=sum(line.payable_fen for line in priced),
        lines=[_line_json(line) for line in priced],
        created_at=at,
        expires_at=at + timedelta(seconds=settings.KPAY.quote_expiry_seconds),
    )


KEEP_UNUSED = timedelta(days=7)


def quotes_forget(*, limit: int = 5000) -> int:
    """Quotes that ran out a week ago and became no order are gone; returns how many."""
    old = Quote.objects.filter(expires_at__lt=clock.now() - KEEP_UNUSED, order=None)
    forgotten, _each = Quote.objects.filter(
        pk__in=list(old.values_list("pk", flat=True)[:limit])
    ).delete()
    return forgotten


def _items(user: "User", items: Sequence[Mapping[str, int]], platform: str) -> list[rules.Item]:
    """The products with their prices for this buyer now."""
    ids = [item["product_id"] for item in items]
    if not ids or len(ids) > MAX_ITEMS or len(set(ids)) != len(ids):
        raise InvalidInput(fields={"items": [_("请选择 1 至 20 件不同的商品。")]})
    products = {p.pk: p for p in Product.objects.filter(pk__in=ids).select_related("plan")}
    if len(products) != len(ids):
        raise NotFound
    if len({p.scope for p in products.values()}) != len(ids):
        raise InvalidInput(fields={"items": [_("同一内容不能重复购买。")]})
    table = selectors.channel_table(platform)
    member_scopes = _member_scopes(user, products.values())
    return [
        _item(number, products[item["product_id"]], item["quantity"], table, member_scopes)
        for number, item in enumerate(items, start=1)
    ]


def _member_scopes(user: "User", products: Any) -> set[str]:
    asked = {p.member_scope for p in products if p.member_fen is not None}
    return selectors.entitled_scopes(user.pk, asked) if asked else set()


def _item(
    line_no: int,
    product: Product,
    quantity: int,
    table: selectors.ChannelTable,
    member_scopes: set[str],
) -> rules.Item:
    if not product.active or product.kind not in SOLD_KINDS or not table.channels(product):
        raise NotSoldHere(product_id=str(product.pk))
    if quantity != 1:
        raise InvalidInput(fields={"items": [_("仅礼品可以购买多份。")]})
    plan = getattr(product, "plan", None) if product.kind == Product.Kind.PLAN else None
    return rules.Item(
        line_no=line_no,
        product_id=product.pk,
        kind=product.kind,
        title=product.title,
        scope=product.scope,
        period="" if plan is None else plan.period,
        quantity=quantity,
        list_fen=product.list_fen,
        price_fen=product.price_fen,
        promo_fen=product.price_at(clock.now()),
        member_fen=product.member_fen if product.member_scope in member_scopes else None,
    )


def _offer(
    user: "User", lines: Sequence[rules.PricedLine], coupon_id: int | None, points: int
) -> Discounts:
    if coupon_id is None and not points:
        return Discounts()
    return discount_source().offer(
        user_id=user.pk,
        lines=[
            OfferLine(
                line_no=line.item.line_no,
                product_id=line.item.product_id,
                kind=line.item.kind,
                scope=line.item.scope,
                quantity=line.item.quantity,
                price_fen=line.payable_fen,
            )
            for line in lines
        ],
        coupon_id=coupon_id,
        points=points,
        payable_fen=sum(line.payable_fen for line in lines),
    )


def _line_json(line: rules.PricedLine) -> dict[str, Any]:
    item = line.item
    return {
        "line_no": item.line_no,
        "product_id": item.product_id,
        "kind": item.kind,
        "title": item.title,
        "scope": item.scope,
        "period": item.period,
        "quantity": item.quantity,
        "list_fen": line.list_fen,
        "discount_fen": line.discount_fen,
        "points_value_fen": line.points_value_fen,
        "payable_fen": line.payable_fen,
        "steps": [step.as_json() for step in line.steps],
    }
