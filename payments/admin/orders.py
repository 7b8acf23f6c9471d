"""Orders, payments and rights: evidence, read only."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from kernel.admin import ReadOnlyAdmin, yuan_display
from payments.admin.inlines import ReadOnlyInline
from payments.admin.refund_order import RefundOrderAction
from payments.models import Entitlement, Order, OrderLine, Payment, Quote, Refund
from payments.services.deliveries import delivery_again


class OrderLineInline(ReadOnlyInline):
    model = OrderLine
    fields = ("line_no", "title", "scope", "quantity", "list_fen", "payable_fen", "refunded_fen")


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ("out_trade_no", "channel", "status", "effective", "amount_fen", "success_at")


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ("out_refund_no", "status", "approval", "cause", "amount_fen", "success_at")


@admin.register(Order)
class OrderAdmin(RefundOrderAction, ReadOnlyAdmin[Order]):
    """Orders are evidence: staff look and search, and ask for refunds."""

    list_display = (
        "no",
        "user",
        "status",
        yuan_display("total_fen", _("总价")),
        yuan_display("payable_fen", _("应付")),
        yuan_display("refunded_fen", _("已退")),
        "platform",
        "created_at",
        "paid_at",
    )
    list_filter = ("status", "platform", "created_at")
    search_fields = ("=no", "=payments__out_trade_no", "=payments__transaction_id")
    list_select_related = ("user",)
    inlines = (OrderLineInline, PaymentInline, RefundInline)
    actions_detail = ("story", "refund_order")
    actions_row = ("story",)

    # the page stands above this app: only its name is known here
    @action(description=_("订单全程"), url_path="story")  # type: ignore[untyped-decorator]
    def story(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:order_story", args=[object_id]))


@admin.register(OrderLine)
class OrderLineAdmin(ReadOnlyAdmin[OrderLine]):
    list_display = (
        "order",
        "line_no",
        "title",
        "scope",
        yuan_display("list_fen", _("原价")),
        yuan_display("payable_fen", _("应付")),
    )
    list_filter = ("kind",)
    search_fields = ("=order__no", "=scope", "title")
    list_select_related = ("order",)


@admin.register(Quote)
class QuoteAdmin(ReadOnlyAdmin[Quote]):
    list_display = (
        "id",
        "user",
        yuan_display("total_fen", _("总价")),
        yuan_display("payable_fen", _("应付")),
        "platform",
        "created_at",
        "expires_at",
    )
    list_filter = ("platform", "created_at")
    search_fields = ("=id", "=user__username")
    list_select_related = ("user",)


class ShippingFilter(admin.SimpleListFilter):
    """Payments whose delivery the platform could not be told: a person has to look."""

    title = _("发货上报")
    parameter_name = "shipping"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("failed", _("上报失败")), ("told", _("已上报"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Payment]) -> QuerySet[Payment]:
        if self.value() == "failed":
            return queryset.filter(shipped_at=None, shipping_due_at=None, shipping_tries__gt=0)
        if self.value() == "told":
            return queryset.filter(shipped_at__isnull=False)
        return queryset


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin[Payment]):
    list_display = (
        "out_trade_no",
        "order",
        "channel",
        "status",
        "effective",
        yuan_display("amount_fen", _("金额")),
        yuan_display("refunded_fen", _("已退")),
        "success_at",
        "next_check_at",
        "shipped_at",
    )
    list_filter = ("status", "effective", "channel", ShippingFilter, "by_apple", "created_at")
    search_fields = ("=out_trade_no", "=transaction_id", "=order__no")
    list_select_related = ("order",)
    inlines = (RefundInline,)
    actions = ("tell_again",)

    def has_tell_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_payment")

    @action(description=_("重新上报发货"), permissions=["tell"])  # type: ignore[untyped-decorator]
    def tell_again(self, request: HttpRequest, queryset: QuerySet[Payment]) -> None:
        done = sum(delivery_again(payment_id=payment.pk) for payment in queryset)
        said = _("将重新上报 %(count)s 笔支付。") % {"count": done}
        self.message_user(request, said, messages.SUCCESS if done else messages.WARNING)


@admin.register(Entitlement)
class EntitlementAdmin(ReadOnlyAdmin[Entitlement]):
    list_display = (
        "user",
        "scope",
        "source",
        "source_ref",
        "valid_from",
        "valid_until",
        "revoked_at",
    )
    list_filter = ("source", "valid_from", "revoked_at")
    search_fields = ("=scope", "=source_ref", "=user__username", "user__nickname")
    list_select_related = ("user",)
