"""Buying together, gifts, and invoices that wait for staff."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import User
from kernel.admin import ModelAdmin, ReadOnlyAdmin, yuan_display
from kernel.money import yuan
from payments.admin.acting import ReasonForm, acted
from payments.admin.inlines import ReadOnlyInline
from payments.models import Gift, Group, GroupOffer, Invoice, Order, Product
from payments.services.invoices import invoice_issue, invoice_reject


class GroupOfferForm(forms.ModelForm[GroupOffer]):
    """A group's price is below the shop's; gifts are not bought together."""

    def clean(self) -> dict[str, Any]:
        filled: dict[str, Any] = super().clean() or self.cleaned_data
        product, price = filled.get("product"), filled.get("price_fen")
        if product is not None and product.kind == Product.Kind.GIFT:
            self.add_error("product", _("礼品不能拼团。"))
        if product is not None and price is not None and not 0 < price < product.price_fen:
            self.add_error("price_fen", _("拼团价须大于 0 且低于售价。"))
        size, hours = filled.get("size"), filled.get("hours")
        if size is not None and not 2 <= size <= 100:
            self.add_error("size", _("成团人数为 2 至 100 人。"))
        if hours is not None and hours < 1:
            self.add_error("hours", _("限时至少 1 小时。"))
        return filled


@admin.register(GroupOffer)
class GroupOfferAdmin(ModelAdmin[GroupOffer]):
    """Groups that were started keep the price, size and time of their start."""

    form = GroupOfferForm
    list_display = ("product", yuan_display("price_fen", _("拼团价")), "size", "hours", "active")
    list_filter = ("active",)
    search_fields = ("product__title",)
    list_select_related = ("product",)
    autocomplete_fields = ("product",)

    def has_delete_permission(self, request: HttpRequest, obj: GroupOffer | None = None) -> bool:
        return False


class MemberInline(ReadOnlyInline):
    model = Order
    fields = ("no", "user", "status", "payable_fen", "paid_at")
    verbose_name_plural = _("成员")


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin[Group]):
    list_display = (
        "id",
        "offer",
        "leader",
        yuan_display("price_fen", _("拼团价")),
        "paid_count",
        "size",
        "status",
        "expires_at",
    )
    list_filter = ("status", "created_at")
    search_fields = ("=id", "=orders__no", "offer__product__title")
    list_select_related = ("offer__product", "leader")
    inlines = (MemberInline,)


@admin.register(Gift)
class GiftAdmin(ReadOnlyAdmin[Gift]):
    """Codes are sealed: staff see what became of a gift, never the code."""

    list_display = (
        "id",
        "line",
        "number",
        "scope",
        yuan_display("amount_fen", _("金额")),
        "status",
        "claimed_by",
        "claimed_at",
        "expires_at",
    )
    list_filter = ("status", "created_at")
    search_fields = ("=id", "=line__order__no", "=scope", "=claimed_by__username")
    list_select_related = ("line", "claimed_by")
    exclude = ("code_hash", "code_sealed")


class NumberForm(forms.Form):
    number = forms.CharField(
        label=_("发票号"), max_length=40, strip=True, widget=UnfoldAdminTextInputWidget
    )


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin[Invoice]):
    """Staff issue invoices elsewhere and say so here."""

    list_display = (
        "id",
        "order",
        "kind",
        "title",
        yuan_display("amount_fen", _("金额")),
        "status",
        "number",
        "created_at",
        "decided_by",
    )
    list_filter = ("status", "kind", "created_at")
    search_fields = ("=id", "=order__no", "title", "=tax_no", "=number")
    list_select_related = ("order", "decided_by")
    actions_detail = ("issued", "reject")

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("payments.change_invoice")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """A decided request offers nothing."""
        open_ = Invoice.objects.filter(pk=object_id, status=Invoice.Status.REQUESTED).exists()
        return super().get_actions_detail(request, object_id) if open_ else []

    @action(description=_("已开票"), url_path="issued", permissions=["decide"])  # type: ignore[untyped-decorator]
    def issued(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act(filled: dict[str, Any]) -> str:
            invoice_issue(invoice_id=object_id, by=_me(request), number=filled["number"])
            return gettext("已登记发票号。")

        return self._act(request, object_id, NumberForm(request.POST or None), act, _("登记发票"))

    @action(description=_("驳回"), url_path="reject", permissions=["decide"])  # type: ignore[untyped-decorator]
    def reject(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act(filled: dict[str, Any]) -> str:
            invoice_reject(invoice_id=object_id, by=_me(request), reason=filled["reason"])
            return gettext("申请已驳回，申请人会看到原因。")

        return self._act(request, object_id, ReasonForm(request.POST or None), act, _("驳回申请"))

    def _act(
        self, request: HttpRequest, object_id: int, form: forms.Form, act: Any, title: Any
    ) -> HttpResponse:
        invoice = get_object_or_404(Invoice.objects.select_related("order"), pk=object_id)
        said = {
            "order": invoice.order.no,
            "title": invoice.title,
            "tax_no": invoice.tax_no or "—",
            "yuan": yuan(invoice.amount_fen),
        }
        facts = [gettext("订单 %(order)s，抬头 %(title)s，税号 %(tax_no)s，%(yuan)s 元。") % said]
        back = reverse("admin:payments_invoice_change", args=[object_id])
        return acted(self, request, form, act, title=title, facts=facts, back=back)


def _me(request: HttpRequest) -> User:
    return cast("User", request.user)
