"""Products, plans and quotes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from kernel.api import IdField, StrictSerializer
from kernel.api.fields import rfc3339
from payments.models import GroupOffer, Plan, Product, Quote
from payments.models.products import Platform
from payments.selectors import ChannelTable
from payments.services.pricing import Better

MAX_POINTS = 10**9


class ItemInput(StrictSerializer):
    product_id = IdField(help_text=_("商品编号"))
    quantity = serializers.IntegerField(min_value=1, max_value=99, default=1)


class QuoteInput(StrictSerializer):
    items = serializers.ListField(child=ItemInput(), allow_empty=False, max_length=20)
    platform = serializers.ChoiceField(choices=Platform.choices)
    coupon_id = IdField(required=False, allow_null=True, default=None)
    points = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=MAX_POINTS, help_text=_("最多使用的积分")
    )
    best = serializers.BooleanField(
        required=False,
        default=False,
        help_text=_("为真时自动选用最省的优惠券与积分，忽略 coupon_id 与 points"),
    )


class GroupOfferOutput(StrictSerializer):
    offer_id = serializers.CharField()
    price_fen = serializers.IntegerField(help_text=_("拼团价"))
    size = serializers.IntegerField(help_text=_("成团人数"))
    hours = serializers.IntegerField(help_text=_("开团后的限时（小时）"))


class ProductOutput(StrictSerializer):
    id = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.CharField(help_text=_("course、bundle、plan 或 gift"))
    scope = serializers.CharField()
    price_fen = serializers.IntegerField(
        allow_null=True, help_text=_("当前售价；该平台不可售时为 null")
    )
    list_fen = serializers.IntegerField(help_text=_("原价"))
    member_fen = serializers.IntegerField(allow_null=True, help_text=_("会员价"))
    promo_until = serializers.DateTimeField(
        allow_null=True, help_text=_("正在进行的限时优惠何时结束；没有或不限时为 null")
    )
    group = GroupOfferOutput(allow_null=True, help_text=_("正在进行的拼团活动"))
    items = serializers.ListField(
        child=serializers.DictField(), help_text=_("套餐包含的商品：product_id、title、scope")
    )
    channels = serializers.ListField(child=serializers.CharField(), help_text=_("可用的支付渠道"))


class PlanOutput(StrictSerializer):
    id = serializers.CharField()
    product_id = serializers.CharField()
    title = serializers.CharField()
    period = serializers.ChoiceField(choices=Plan.Period.choices)
    scope = serializers.CharField()
    price_fen = serializers.IntegerField(allow_null=True)
    list_fen = serializers.IntegerField()
    channels = serializers.ListField(child=serializers.CharField(), help_text=_("可用的支付渠道"))


class PlansOutput(StrictSerializer):
    items = PlanOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class StepOutput(StrictSerializer):
    rule = serializers.ChoiceField(
        choices=["list", "price", "bundle", "group", "promotion", "member", "coupon", "points"]
    )
    text = serializers.CharField()
    amount_fen = serializers.IntegerField(help_text=_("原价为正，优惠为负；各步之和等于应付"))


class QuoteLineOutput(StrictSerializer):
    line_no = serializers.IntegerField()
    product_id = serializers.CharField()
    title = serializers.CharField()
    quantity = serializers.IntegerField()
    list_fen = serializers.IntegerField()
    steps = StepOutput(many=True)
    payable_fen = serializers.IntegerField()


class BetterOutput(StrictSerializer):
    coupon_id = serializers.CharField(allow_null=True)
    points = serializers.IntegerField()
    payable_fen = serializers.IntegerField()
    saved_fen = serializers.IntegerField(help_text=_("比当前报价再省多少"))
    text = serializers.CharField()


class QuoteOutput(StrictSerializer):
    quote_id = serializers.CharField()
    lines = QuoteLineOutput(many=True)
    total_fen = serializers.IntegerField()
    discount_fen = serializers.IntegerField()
    coupon_id = serializers.CharField(allow_null=True)
    points_used = serializers.IntegerField()
    points_value_fen = serializers.IntegerField()
    payable_fen = serializers.IntegerField()
    expires_at = serializers.DateTimeField()
    best = BetterOutput(allow_null=True, help_text=_("更省的组合；当前报价已是最省时为 null"))


def id_text(value: int | None) -> str | None:
    return None if value is None else str(value)


def product_json(
    product: Product,
    channels: list[str],
    at: datetime,
    *,
    offer: GroupOffer | None = None,
    contents: Sequence[Product] = (),
) -> dict[str, Any]:
    """A product at that moment where `channels` may sell it; without one its price is null."""
    price_fen = product.price_at(at)
    promoted = price_fen < product.price_fen
    return {
        "id": str(product.pk),
        "title": product.title,
        "kind": product.kind,
        "scope": product.scope,
        "price_fen": price_fen if channels else None,
        "list_fen": product.list_fen,
        "member_fen": product.member_fen if channels else None,
        "promo_until": rfc3339(product.promo_until) if channels and promoted else None,
        "channels": channels,
        "group": group_offer_json(offer) if offer is not None and channels else None,
        "items": [
            {"product_id": str(item.pk), "title": item.title, "scope": item.scope}
            for item in contents
        ],
    }


def group_offer_json(offer: GroupOffer) -> dict[str, Any]:
    return {
        "offer_id": str(offer.pk),
        "price_fen": offer.price_fen,
        "size": offer.size,
        "hours": offer.hours,
    }


def plan_json(plan: Plan, table: ChannelTable, price_fen: int) -> dict[str, Any]:
    channels = table.channels(plan.product)
    return {
        "id": str(plan.pk),
        "product_id": str(plan.product_id),
        "title": plan.product.title,
        "period": plan.period,
        "scope": plan.scope,
        "price_fen": price_fen if channels else None,
        "list_fen": plan.product.list_fen,
        "channels": channels,
    }


def _line_json(line: Mapping[str, Any]) -> dict[str, Any]:
    names = ("line_no", "title", "quantity", "list_fen", "steps", "payable_fen")
    return {"product_id": str(line["product_id"]), **{name: line[name] for name in names}}


def better_json(better: Better | None) -> dict[str, Any] | None:
    if better is None:
        return None
    return {
        "coupon_id": id_text(better.coupon_id),
        "points": better.points,
        "payable_fen": better.payable_fen,
        "saved_fen": better.saved_fen,
        "text": better.text,
    }


def quote_json(quote: Quote, better: Better | None) -> dict[str, Any]:
    return {
        "quote_id": str(quote.pk),
        "lines": [_line_json(line) for line in quote.lines],
        "total_fen": quote.total_fen,
        "discount_fen": quote.discount_fen,
        "coupon_id": id_text(quote.coupon_id),
        "points_used": quote.points,
        "points_value_fen": quote.points_value_fen,
        "payable_fen": quote.payable_fen,
        "expires_at": rfc3339(quote.expires_at),
        "best": better_json(better),
    }
