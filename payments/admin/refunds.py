"""Refunds: what waits for a person, and what a person may do about it."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.models import User
from kernel.admin import ReadOnlyAdmin, yuan_display
from kernel.money import yuan
from payments.admin.acting import ReasonForm, acted
from payments.admin.inlines import ReadOnlyInline
from payments.flows.refunding import refund_give_up, refund_send_elsewhere
from payments.models import Refund, RefundLine
from payments.services.refunds import refund_approve, refund_ask_again, refund_reject
from payments.services.refunds.outcome import needs_a_person
from wechat.pay import BankCard

_STATUS = Refund.Status


class NeedsPerson(admin.SimpleListFilter):
    """Approval, an abnormal refund, or one that was asked for in vain for long."""

    title = _("待办")
    parameter_name = "todo"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("person", _("等人处理")), ("error", _("有错误"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Refund]) -> QuerySet[Refund]:
        if self.value() == "person":
            return queryset.filter(needs_a_person())
        if self.value() == "error":
            return queryset.exclude(last_error="")
        return queryset


class ApproveForm(forms.Form):
    note = forms.CharField(
        label=_("审批意见"), max_length=200, required=False, widget=UnfoldAdminTextInputWidget
    )


class ElsewhereForm(ReasonForm):
    """Where the money goes; a card needs its bank, its number and whose it is."""

    to = forms.ChoiceField(
        label=_("退到"),
        choices=[("card", _("用户的其他银行卡")), ("merchant", _("商户账户(由商户转交用户)"))],
        widget=UnfoldAdminSelectWidget,
    )
    bank_type = forms.CharField(
        label=_("银行类型"),
        help_text=_("如 ICBC_DEBIT"),
        max_length=16,
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    number = forms.RegexField(
        r"^\d{8,32}$",
        label=_("银行卡号"),
        help_text=_("只用于本次提交，不会保存"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    holder = forms.CharField(
        label=_("持卡人姓名"), max_length=64, required=False, widget=UnfoldAdminTextInputWidget
    )
    field_order = ("to", "bank_type", "number", "holder", "reason")

    def clean(self) -> dict[str, Any]:
        filled: dict[str, Any] = super().clean() or self.cleaned_data
        if filled.get("to") == "card":
            for name in ("bank_type", "number", "holder"):
                if not filled.get(name) and name not in self.errors:
                    self.add_error(name, gettext("退到银行卡时必须填写。"))
        return filled

    def card(self) -> BankCard | None:
        filled = self.cleaned_data
        if filled["to"] == "merchant":
            return None
        return BankCard(filled["bank_type"], filled["number"], filled["holder"])


class RefundLineInline(ReadOnlyInline):
    model = RefundLine
    fields = ("line", "amount_fen")


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin[Refund]):
    """Refunds are evidence; decisions go through services, with a reason."""

    list_display = (
        "out_refund_no",
        "order",
        "status",
        "approval",
        "cause",
        yuan_display("amount_fen", _("金额")),
        "requested_by",
        "created_at",
        "success_at",
        "last_error",
        "checks",
        "next_check_at",
    )
    list_filter = (NeedsPerson, "status", "approval", "cause", "created_at")
    search_fields = ("=out_refund_no", "=order__no", "=payment__out_trade_no")
    list_select_related = ("order", "requested_by")
    inlines = (RefundLineInline,)
    actions_detail = ("approve", "reject", "send_elsewhere", "give_up", "ask_again")

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("payments.change_refund")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """Only what the refund's state allows is offered."""
        refund = Refund.objects.filter(pk=object_id).first()
        fits = set() if refund is None else _fitting(refund)
        actions: list[Any] = super().get_actions_detail(request, object_id)
        return [a for a in actions if a.method.original_function_name in fits]

    @action(description=_("批准"), url_path="approve", permissions=["decide"])  # type: ignore[untyped-decorator]
    def approve(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act(filled: dict[str, Any]) -> str:
            refund_approve(refund_id=object_id, by=_me(request), note=filled["note"])
            return gettext("退款已批准，即将发起。")

        form = ApproveForm(request.POST if request.method == "POST" else None)
        return self._act(request, object_id, form, act, _("批准退款"))

    @action(description=_("拒绝"), url_path="reject", permissions=["decide"])  # type: ignore[untyped-decorator]
    def reject(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act(filled: dict[str, Any]) -> str:
            refund_reject(refund_id=object_id, by=_me(request), reason=filled["reason"])
            return gettext("退款已拒绝，金额已释放。")

        form = ReasonForm(request.POST or None)
        return self._act(request, object_id, form, act, _("拒绝退款(申请人会看到原因)"))

    @action(  # type: ignore[untyped-decorator]
        description=_("异常退款改退"), url_path="send-elsewhere", permissions=["decide"]
    )
    def send_elsewhere(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = ElsewhereForm(request.POST or None)

        def act(filled: dict[str, Any]) -> str:
            refund_send_elsewhere(
                refund_id=object_id, by=_me(request), reason=filled["reason"], card=form.card()
            )
            return gettext("微信已受理，退款重新处理中。")

        return self._act(request, object_id, form, act, _("异常退款改退到其他账户"))

    @action(description=_("异常退款关闭"), url_path="give-up", permissions=["decide"])  # type: ignore[untyped-decorator]
    def give_up(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act(filled: dict[str, Any]) -> str:
            refund_give_up(refund_id=object_id, by=_me(request), reason=filled["reason"])
            return gettext("退款已关闭，金额已释放。")

        form = ReasonForm(request.POST or None)
        return self._act(request, object_id, form, act, _("关闭异常退款(申请人会看到原因)"))

    @action(description=_("立即重试"), url_path="ask-again", permissions=["decide"])  # type: ignore[untyped-decorator]
    def ask_again(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act(filled: dict[str, Any]) -> str:
            refund_ask_again(refund_id=object_id, by=_me(request), reason=filled["reason"])
            return gettext("已排入下一次处理。")

        form = ReasonForm(request.POST or None)
        return self._act(request, object_id, form, act, _("立即再向微信发起或查询"))

    def _act(
        self,
        request: HttpRequest,
        object_id: int,
        form: forms.Form,
        act: Callable[[dict[str, Any]], str],
        title: Any,
    ) -> HttpResponse:
        refund = get_object_or_404(Refund.objects.select_related("order"), pk=object_id)
        said = {
            "no": refund.out_refund_no,
            "order": refund.order.no,
            "yuan": yuan(refund.amount_fen),
            "status": refund.get_status_display(),
        }
        facts = [gettext("退款 %(no)s，订单 %(order)s，%(yuan)s 元，%(status)s。") % said]
        facts += [text for text in (refund.reason, refund.last_error) if text]
        back = reverse("admin:payments_refund_change", args=[refund.pk])
        return acted(self, request, form, act, title=str(title), facts=facts, back=back)


def _fitting(refund: Refund) -> set[str]:
    if refund.approval == Refund.Approval.WAITING:
        return {"approve", "reject"}
    if refund.status == _STATUS.ABNORMAL:
        return {"send_elsewhere", "give_up", "ask_again"}
    if refund.status in (_STATUS.REQUESTED, _STATUS.PROCESSING):
        return {"ask_again"}
    return set()


def _me(request: HttpRequest) -> User:
    return cast("User", request.user)


@admin.register(RefundLine)
class RefundLineAdmin(ReadOnlyAdmin[RefundLine]):
    list_display = ("refund", "line", yuan_display("amount_fen", _("金额")))
    search_fields = ("=refund__out_refund_no",)
    list_select_related = ("refund", "line")
