"""Publishing what may be bought. Apps above give scopes; payments never looks inside them."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kernel import clock
from kernel.errors import InvalidInput
from payments.models import Plan, Product
from payments.models.products import Channel
from payments.services.items import items_want


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
