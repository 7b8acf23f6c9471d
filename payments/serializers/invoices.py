"""Requests for invoices."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from kernel.api import StrictSerializer
from kernel.api.fields import rfc3339
from payments.models import Invoice
from payments.serializers.fields import PlainTextField


class InvoiceInput(StrictSerializer):
    kind = serializers.ChoiceField(choices=Invoice.Kind.choices)
    title = PlainTextField(max_length=100, help_text=_("发票抬头"))
    tax_no = serializers.RegexField(
        r"^[0-9A-Z]{15,20}$",
        required=False,
        allow_blank=True,
        default="",
        help_text=_("企业抬头必填：15 至 20 位数字或大写字母"),
        error_messages={"invalid": _("税号为 15 至 20 位数字或大写字母。")},
    )
    email = serializers.EmailField(max_length=120, help_text=_("接收发票的邮箱"))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["kind"] == Invoice.Kind.COMPANY and not attrs["tax_no"]:
            raise serializers.ValidationError({"tax_no": [_("企业抬头必须填写税号。")]})
        return attrs


class InvoiceOutput(StrictSerializer):
    id = serializers.CharField()
    order_no = serializers.CharField()
    status = serializers.ChoiceField(choices=Invoice.Status.choices)
    kind = serializers.ChoiceField(choices=Invoice.Kind.choices)
    title = serializers.CharField()
    tax_no = serializers.CharField()
    email = serializers.CharField()
    amount_fen = serializers.IntegerField(help_text=_("实付减去已退与退款中的金额"))
    number = serializers.CharField(help_text=_("发票号，开具后才有"))
    note = serializers.CharField(help_text=_("驳回原因"))
    created_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


def invoice_json(invoice: Invoice) -> dict[str, Any]:
    return {
        "id": str(invoice.pk),
        "order_no": invoice.order.no,
        "status": invoice.status,
        "kind": invoice.kind,
        "title": invoice.title,
        "tax_no": invoice.tax_no,
        "email": invoice.email,
        "amount_fen": invoice.amount_fen,
        "number": invoice.number,
        "note": invoice.note,
        "created_at": rfc3339(invoice.created_at),
        "decided_at": rfc3339(invoice.decided_at),
    }
