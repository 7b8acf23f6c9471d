"""Refunds: what may go back, what was asked for, what became of it."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers

from kernel.api import StrictSerializer
from kernel.api.fields import rfc3339
from payments.errors import RefundNotByMerchant
from payments.models import Refund
from payments.services.refunds.quote import RefundQuote

# More than any order holds; far below what a column can.
MAX_FEN = 10**9
MAX_LINES = 100


class RefundLineInput(StrictSerializer):
    line_no = serializers.IntegerField(min_value=1, max_value=32_767)
    amount_fen = serializers.IntegerField(min_value=1, max_value=MAX_FEN)


class RefundQuoteInput(StrictSerializer):
    """Nothing means all that the policy gives."""

    lines = serializers.ListField(
        child=RefundLineInput(),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=MAX_LINES,
        help_text=gettext_lazy("按行指定金额"),
    )
    amount_fen = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MAX_FEN,
        help_text=gettext_lazy("只给总额时按最大余数法分摊到各行"),
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {**attrs, "lines": attrs.get("lines") or (), "amount_fen": attrs.get("amount_fen")}


class RefundInput(RefundQuoteInput):
    reason = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, default="", max_length=200
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {**super().validate(attrs), "reason": attrs.get("reason") or ""}


class OrderRefundOutput(StrictSerializer):
    no = serializers.CharField()
    status = serializers.ChoiceField(choices=Refund.Status.choices)
    amount_fen = serializers.IntegerField()
    cause = serializers.ChoiceField(choices=Refund.Cause.choices)


class RefundPartOutput(StrictSerializer):
    line_no = serializers.IntegerField()
    amount_fen = serializers.IntegerField()


class RefundOutput(OrderRefundOutput):
    order_no = serializers.CharField()
    approval = serializers.ChoiceField(
        choices=Refund.Approval.choices, help_text=gettext_lazy("waiting 表示等待人工审核")
    )
    reason = serializers.CharField(allow_blank=True)
    message = serializers.CharField(allow_blank=True, help_text=gettext_lazy("给用户看的进度说明"))
    lines = RefundPartOutput(many=True)
    created_at = serializers.DateTimeField()
    success_at = serializers.DateTimeField(allow_null=True)


class RefundEffectsOutput(StrictSerializer):
    points = serializers.IntegerField(help_text=gettext_lazy("退回的积分"))
    coupon = serializers.BooleanField(help_text=gettext_lazy("优惠券是否退回"))
    access = serializers.BooleanField(help_text=gettext_lazy("是否失去学习权限"))
    gifts = serializers.IntegerField(help_text=gettext_lazy("收回的礼品份数"))


class RefundQuoteLineOutput(StrictSerializer):
    line_no = serializers.IntegerField()
    title = serializers.CharField()
    payable_fen = serializers.IntegerField()
    refunded_fen = serializers.IntegerField()
    refunding_fen = serializers.IntegerField()
    refundable_fen = serializers.IntegerField(help_text=gettext_lazy("按规则现在最多可退"))
    amount_fen = serializers.IntegerField(help_text=gettext_lazy("本次退款在该行的金额"))
    watched_bp = serializers.IntegerField(
        min_value=0, max_value=10_000, help_text=gettext_lazy("已学比例，万分比")
    )
    policy = serializers.CharField(help_text=gettext_lazy("规则说明"))
    effects = RefundEffectsOutput()


class RefundQuoteOutput(StrictSerializer):
    order_no = serializers.CharField()
    refundable_fen = serializers.IntegerField()
    left_fen = serializers.IntegerField(help_text=gettext_lazy("已付且未退的金额"))
    amount_fen = serializers.IntegerField()
    automatic = serializers.BooleanField(help_text=gettext_lazy("false 表示需要人工审核"))
    effects = RefundEffectsOutput()
    lines = RefundQuoteLineOutput(many=True)


def order_refund_json(refund: Refund) -> dict[str, Any]:
    return {
        "no": refund.out_refund_no,
        "status": refund.status,
        "amount_fen": refund.amount_fen,
        "cause": refund.cause,
    }


def refund_json(refund: Refund) -> dict[str, Any]:
    """Reads the order and the prefetched lines of `get_refund_for_user`."""
    return {
        **order_refund_json(refund),
        "order_no": refund.order.no,
        "approval": refund.approval,
        "reason": refund.reason,
        "message": refund_message(refund),
        "lines": [
            {"line_no": part.line.line_no, "amount_fen": part.amount_fen}
            for part in refund.lines.all()
        ],
        "created_at": rfc3339(refund.created_at),
        "success_at": rfc3339(refund.success_at),
    }


def refund_message(refund: Refund) -> str:
    """One sentence for the payer about how it stands, and why where it did not work."""
    status = Refund.Status
    if refund.status == status.REQUESTED:
        if refund.approval == Refund.Approval.WAITING:
            return _("退款申请正在等待人工审核。")
        return _("退款申请已提交，正在发起退款。")
    if refund.status == status.REJECTED:
        return refund.decision_note or _("退款申请未通过审核。")
    if refund.status == status.CLOSED:
        return _closed_message(refund)
    return {
        status.PROCESSING: _("微信正在处理退款，通常几分钟、最迟几个工作日到账。"),
        status.ABNORMAL: _("退款未能到达原支付账户，我们会联系您处理。"),
    }.get(Refund.Status(refund.status), _("退款已到账。"))


def _closed_message(refund: Refund) -> str:
    if refund.last_error == "too_old":
        return _("付款已超过一年，微信不再支持原路退款，请联系客服。")
    if refund.last_error == RefundNotByMerchant.code:
        return str(RefundNotByMerchant.message)
    if refund.last_error == "closed_by_hand":
        return refund.decision_note
    return _("微信未能完成这笔退款，金额仍可退，请稍后重新申请。")


def refund_quote_json(quote: RefundQuote) -> dict[str, Any]:
    return {
        "order_no": quote.order_no,
        "refundable_fen": sum(line.refundable_fen for line in quote.lines),
        "left_fen": sum(line.left_fen for line in quote.lines),
        "amount_fen": quote.amount_fen,
        "automatic": quote.automatic,
        "effects": {
            "points": sum(line.points for line in quote.lines),
            "coupon": quote.coupon,
            "access": any(line.access_ends for line in quote.lines),
            "gifts": sum(line.gifts for line in quote.lines),
        },
        "lines": [
            {
                "line_no": line.line_no,
                "title": line.title,
                "payable_fen": line.payable_fen,
                "refunded_fen": line.refunded_fen,
                "refunding_fen": line.refunding_fen,
                "refundable_fen": line.refundable_fen,
                "amount_fen": line.amount_fen,
                "watched_bp": line.watched_bp,
                "policy": line.policy,
                "effects": {
                    "points": line.points,
                    "coupon": quote.coupon,
                    "access": line.access_ends,
                    "gifts": line.gifts,
                },
            }
            for line in quote.lines
        ],
    }
