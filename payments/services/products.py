"""Publishing what may be bought. Apps above give scopes; payments never looks inside them."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kernel import clock
from kernel.errors import InvalidInput
from payments.errors import BundleRefused
from payments.models import BundleItem, Plan, Product
from payments.models.products import Channel
from payments.selling import BUNDLED
from payments.services.items import items_want

MAX_BUNDLED = 50


@transaction.atomic
def product_publish(
    *,
    scope: str,
    title: str,
    kind: str,
    price_fen: int,
    list_fen: int,
    channels: Sequence[str],
    product_id: int | None = None,
    active: bool = True,
    key: str | None = None,
    xpay_product_id: str = "",
    owner_ref: str = "",
) -> Product:
    """The product with these prices: changed where `product_id` or `key` names one, else new.

    Orders and quotes made before keep their prices. Raises `InvalidInput`.
    """
    _check(price_fen=price_fen, list_fen=list_fen, channels=channels)
    if kind == Product.Kind.GIFT and not scope:
        raise InvalidInput(fields={"scope": [_("礼品须指定领取后开通的内容。")]})
    product = _existing(product_id, key) or Product(key=key or None)
    product.kind = Product.Kind(kind)
    product.scope = scope
    product.title = title[:120]
    product.price_fen = price_fen
    product.list_fen = list_fen
    product.channels = list(dict.fromkeys(channels))
    product.active = active
    product.xpay_product_id = xpay_product_id
    product.owner_ref = owner_ref
    product.updated_at = clock.now()
    product.save()
    items_want(product=product)
    return product


@transaction.atomic
def plan_publish(
    *,
    key: str,
    title: str,
    period: str,
    price_fen: int,
    list_fen: int | None = None,
    channels: Sequence[str] = (Channel.JSAPI, Channel.VIRTUAL, Channel.NATIVE),
    scope: str = "membership:vip",
    position: int = 0,
) -> Plan:
    """The membership plan of this key, with its product; changed when it exists."""
    if period not in Plan.Period.values:
        raise InvalidInput(fields={"period": [_("周期只能是月、季、年或终身。")]})
    plan = Plan.objects.filter(key=key).first()
    product = product_publish(
        scope=scope,
        title=title,
        kind=Product.Kind.PLAN,
        price_fen=price_fen,
        list_fen=price_fen if list_fen is None else list_fen,
        channels=channels,
        product_id=None if plan is None else plan.product_id,
    )
    if plan is None:
        plan = Plan(key=key, product=product)
    plan.product, plan.period, plan.position = product, Plan.Period(period), position
    plan.save()
    return plan


@transaction.atomic
def bundle_set(*, bundle_id: int, item_ids: Sequence[int]) -> list[BundleItem]:
    """The bundle holds exactly these products, in this order. Raises `BundleRefused`.

    Orders and quotes made before keep what they were made of.
    """
    bundle = Product.objects.get(pk=bundle_id)
    found = Product.objects.in_bulk(list(item_ids))
    if len(found) != len(set(item_ids)) or len(set(item_ids)) != len(item_ids):
        raise BundleRefused(fields={"items": [_("套餐内容有重复或不存在的商品。")]})
    items = [found[pk] for pk in item_ids]
    bundle_check(bundle, items)
    BundleItem.objects.filter(bundle=bundle).exclude(item__in=items).delete()
    return [
        BundleItem.objects.update_or_create(
            bundle=bundle, item=item, defaults={"position": position}
        )[0]
        for position, item in enumerate(items, start=1)
    ]


def bundle_check(bundle: Product, items: Sequence[Product]) -> None:
    """Raises `BundleRefused` for what can't be a bundle of these."""
    said: Any = None
    scopes = [item.scope for item in items] + ([bundle.scope] if bundle.scope else [])
    if bundle.kind != Product.Kind.BUNDLE:
        said = _("只有套餐可以包含其他商品。")
    elif len(items) > MAX_BUNDLED:
        said = _("一个套餐最多包含 %(most)s 件商品。") % {"most": MAX_BUNDLED}
    elif any(item.kind not in BUNDLED for item in items):
        said = _("套餐只能包含课程和会员方案，不能包含其他套餐或礼品。")
    elif len(set(scopes)) != len(scopes):
        said = _("套餐内的商品不能开通同一内容。")
    if said is not None:
        raise BundleRefused(fields={"items": [said]})


def _existing(product_id: int | None, key: str | None) -> Product | None:
    if product_id is not None:
        return Product.objects.get(pk=product_id)
    return Product.objects.filter(key=key).first() if key else None


def _check(*, price_fen: int, list_fen: int, channels: Sequence[str]) -> None:
    if not 0 <= price_fen <= list_fen < 2**31:
        raise InvalidInput(fields={"price_fen": [_("售价须在 0 与原价之间。")]})
    unknown = set(channels) - set(Channel.values)
    if unknown:
        raise InvalidInput(fields={"channels": [_("未知的支付渠道。")]})
