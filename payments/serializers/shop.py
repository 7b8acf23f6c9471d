"""Products, plans and quotes."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from kernel.api import IdField, StrictSerializer
from kernel.api.fields import rfc3339
from payments.models import Plan, Product, Quote
from payments.models.products import Platform
from payments.selectors import ChannelTable

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
        choices=["list", "price", "promotion", "member", "coupon", "points"]
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


def id_text(value: int | None) -> str | None:
    return None if value is None else str(value)


def product_json(product: Product, channels: list[str], price_fen: int) -> dict[str, Any]:
    """A product where `channels` may sell it; without one its price is null."""
    return {
        "id": str(product.pk),
        "title": product.title,
        "kind": product.kind,
        "scope": product.scope,
        "price_fen": price_fen if channels else None,
        "list_fen": product.list_fen,
        "member_fen": product.member_fen if channels else None,
        "channels": channels,
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


def quote_json(quote: Quote) -> dict[str, Any]:
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
    }
