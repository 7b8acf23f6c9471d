"""Orders, and the parameters that a client pays with."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from kernel.api import IdField, StrictSerializer
from kernel.api.fields import rfc3339
from payments.models import Order, Payment, Product
from payments.models.products import Channel, Platform
from payments.serializers.refunds import OrderRefundOutput, order_refund_json
from payments.serializers.shop import MAX_POINTS, ItemInput, id_text


class OrderInput(StrictSerializer):
    """Either `quote_id`, or `items` and `platform`."""

    quote_id = IdField(required=False, allow_null=True, default=None)
    items = serializers.ListField(child=ItemInput(), required=False, max_length=20)
    platform = serializers.ChoiceField(choices=Platform.choices, required=False)
    coupon_id = IdField(required=False, allow_null=True, default=None)
    points = serializers.IntegerField(required=False, default=0, min_value=0, max_value=MAX_POINTS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["quote_id"] is not None:
            return {"quote_id": attrs["quote_id"]}
        missing = [name for name in ("items", "platform") if not attrs.get(name)]
        if missing:
            raise serializers.ValidationError(
                {name: [_("没有 quote_id 时必须提供。")] for name in missing}
            )
        return attrs


class PayInput(StrictSerializer):
    channel = serializers.ChoiceField(choices=Channel.choices)


class OrderLineOutput(StrictSerializer):
    line_no = serializers.IntegerField()
    product_id = serializers.CharField()
    kind = serializers.ChoiceField(choices=Product.Kind.choices)
    title = serializers.CharField()
    scope = serializers.CharField(help_text=_("开通的权益；礼品为空"))
    quantity = serializers.IntegerField()
    list_fen = serializers.IntegerField()
    payable_fen = serializers.IntegerField()
    refunded_fen = serializers.IntegerField()


class OrderOutput(StrictSerializer):
    no = serializers.CharField()
    status = serializers.ChoiceField(choices=Order.Status.choices)
    total_fen = serializers.IntegerField()
    discount_fen = serializers.IntegerField()
    points_used = serializers.IntegerField()
    points_value_fen = serializers.IntegerField()
    payable_fen = serializers.IntegerField()
    refunded_fen = serializers.IntegerField()
    coupon_id = serializers.CharField(allow_null=True)
    group_id = serializers.CharField(allow_null=True, help_text=_("所在的团"))
    created_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()
    lines = OrderLineOutput(many=True)
    refunds = OrderRefundOutput(many=True)


class OrdersOutput(StrictSerializer):
    items = OrderOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class PayOutput(StrictSerializer):
    channel = serializers.ChoiceField(choices=Channel.choices)
    out_trade_no = serializers.CharField()
    params = serializers.DictField(child=serializers.CharField(), help_text=_("原样交给微信客户端"))


def order_json(order: Order) -> dict[str, Any]:
    """Reads the prefetched lines and refunds of `get_orders_for_user`."""
    return {
        "no": order.no,
        "status": order.status,
        "total_fen": order.total_fen,
        "discount_fen": order.discount_fen,
        "points_used": order.points_used,
        "points_value_fen": order.points_value_fen,
        "payable_fen": order.payable_fen,
        "refunded_fen": order.refunded_fen,
        "coupon_id": id_text(order.coupon_id),
        "group_id": id_text(order.group_id),
        "created_at": rfc3339(order.created_at),
        "paid_at": rfc3339(order.paid_at),
        "expires_at": rfc3339(order.expires_at),
        "lines": [
            {
                "line_no": line.line_no,
                "product_id": str(line.product_id),
                "kind": line.kind,
                "title": line.title,
                "scope": line.scope,
                "quantity": line.quantity,
                "list_fen": line.list_fen,
                "payable_fen": line.payable_fen,
                "refunded_fen": line.refunded_fen,
            }
            for line in order.lines.all()
        ],
        "refunds": [order_refund_json(refund) for refund in order.refunds.all()],
    }


def pay_json(payment: Payment, params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channel": payment.channel,
        "out_trade_no": payment.out_trade_no,
        "params": dict(params),
    }
