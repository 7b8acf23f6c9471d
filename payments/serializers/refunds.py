"""Refunds."""

from typing import Any

from rest_framework import serializers

from kernel.api import StrictSerializer
from kernel.api.fields import rfc3339
from payments.models import Refund


class OrderRefundOutput(StrictSerializer):
    no = serializers.CharField()
    status = serializers.CharField()
    amount_fen = serializers.IntegerField()
    cause = serializers.CharField()


class RefundOutput(OrderRefundOutput):
    order_no = serializers.CharField()
    created_at = serializers.DateTimeField()
    success_at = serializers.DateTimeField(allow_null=True)


def order_refund_json(refund: Refund) -> dict[str, Any]:
    return {
        "no": refund.out_refund_no,
        "status": refund.status,
        "amount_fen": refund.amount_fen,
        "cause": refund.cause,
    }


def refund_json(refund: Refund) -> dict[str, Any]:
    return {
        **order_refund_json(refund),
        "order_no": refund.order.no,
        "created_at": rfc3339(refund.created_at),
        "success_at": rfc3339(refund.success_at),
    }
