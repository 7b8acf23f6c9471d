"""The action "refund" on the page of an order."""

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from accounts.models import User
from kernel.money import yuan
from payments.admin.acting import ReasonForm, acted
from payments.models import Order, OrderLine, Refund
from payments.services.refunds import refund_request

_LINE = "line_"


def _yuan_field(label: Any, help_text: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        help_text=help_text,
        required=False,
        min_value=0,
        max_digits=9,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
    )


class RefundOrderForm(ReasonForm):
    """Amounts by line, or one amount that is spread; nothing means all that is left."""

    def __init__(self, *args: Any, lines: Sequence[OrderLine], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        amount = _("总额(元)")
        self.fields["amount"] = _yuan_field(amount, _("分摊到各行；与各行金额都不填则退全部余款"))
        for line in lines:
            left = yuan(line.payable_fen - line.refunded_fen - line.refunding_fen)
            self.fields[f"{_LINE}{line.line_no}"] = _yuan_field(
                f"{line.line_no} {line.title}", gettext("可退 %(left)s 元") % {"left": left}
            )
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])

    def asked(self) -> dict[str, Any]:
        """The arguments of `refund_request`."""
        filled = {
            int(name.removeprefix(_LINE)): int(value * 100)
            for name, value in self.cleaned_data.items()
            if name.startswith(_LINE) and value
        }
        lines = [{"line_no": number, "amount_fen": fen} for number, fen in filled.items()]
        amount = self.cleaned_data["amount"]
        return {
            "lines": lines,
            "amount_fen": None if amount is None else int(amount * 100),
            "reason": self.cleaned_data["reason"],
        }


class RefundOrderAction:
    """Mixed into the admin of orders."""

    actions_detail: Sequence[str] = ("refund_order",)

    def has_refund_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("payments.add_refund")

    @action(description=_("退款"), url_path="refund", permissions=["refund"])  # type: ignore[untyped-decorator]
    def refund_order(self, request: HttpRequest, object_id: int) -> HttpResponse:
        order = get_object_or_404(Order, pk=object_id)
        lines = list(order.lines.order_by("line_no"))
        form = RefundOrderForm(request.POST or None, lines=lines)

        def act(_filled: dict[str, Any]) -> str:
            refund = refund_request(
                order_id=order.pk,
                by=cast("User", request.user),
                cause=Refund.Cause.OPERATOR,
                **form.asked(),
            )
            said = {"no": refund.out_refund_no, "yuan": yuan(refund.amount_fen)}
            if refund.approval == Refund.Approval.WAITING:
                return gettext("退款 %(no)s（%(yuan)s 元）已提交，等待另一位同事审批。") % said
            return gettext("退款 %(no)s（%(yuan)s 元）已提交，即将发起。") % said

        paid = {"paid": yuan(order.payable_fen), "back": yuan(order.refunded_fen)}
        return acted(
            cast("Any", self),
            request,
            form,
            act,
            title=gettext("订单 %s 退款") % order.no,
            facts=[gettext("实付 %(paid)s 元，已退 %(back)s 元。") % paid],
            back=reverse("admin:payments_order_change", args=[order.pk]),
        )
