"""Operators' pages of payments. Money is evidence: read only; changes go through services."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from kernel.admin import ModelAdmin, ReadOnlyAdmin, yuan_display
from payments.models import (
    ChannelRule,
    Effect,
    Entitlement,
    Entry,
    EventHandling,
    Journal,
    LedgerAccount,
    Order,
    OrderLine,
    Payment,
    Plan,
    PlatformEvent,
    Product,
    Quote,
    Refund,
    RefundLine,
)


class _ReadOnlyInline(TabularInline):  # type: ignore[misc]
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Product)
class ProductAdmin(ModelAdmin[Product]):
    """Prices may be changed here; orders made before keep theirs."""

    list_display = (
        "title",
        "kind",
        yuan_display("price_fen", _("售价")),
        yuan_display("list_fen", _("原价")),
        yuan_display("promo_fen", _("促销价")),
        "channels",
        "active",
    )
    list_filter = ("kind", "active")
    search_fields = ("title", "=scope", "=key")
    readonly_fields = ("kind", "scope", "key", "owner_ref", "created_at", "updated_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        return False


@admin.register(Plan)
class PlanAdmin(ModelAdmin[Plan]):
    list_display = ("product", "period", "position", "key")
    list_filter = ("period",)
    list_select_related = ("product",)
    search_fields = ("product__title", "=key")
    readonly_fields = ("product", "key", "period")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        return False


@admin.register(ChannelRule)
class ChannelRuleAdmin(ModelAdmin[ChannelRule]):
    """Where operators allow less (or more) than the default table does."""

    list_display = ("platform", "channel", "kind", "allowed")
    list_filter = ("platform", "channel", "allowed")
    list_editable = ("allowed",)


class OrderLineInline(_ReadOnlyInline):
    model = OrderLine
    fields = ("line_no", "title", "scope", "quantity", "list_fen", "payable_fen", "refunded_fen")


class PaymentInline(_ReadOnlyInline):
    model = Payment
    fields = ("out_trade_no", "channel", "status", "effective", "amount_fen", "success_at")


class RefundInline(_ReadOnlyInline):
    model = Refund
    fields = ("out_refund_no", "status", "cause", "amount_fen", "success_at")


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin[Order]):
    """Orders are evidence: staff look and search."""

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
    )
    list_filter = ("status", "effective", "channel", "created_at")
    search_fields = ("=out_trade_no", "=transaction_id", "=order__no")
    list_select_related = ("order",)
    inlines = (RefundInline,)


class RefundLineInline(_ReadOnlyInline):
    model = RefundLine
    fields = ("line", "amount_fen")


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin[Refund]):
    list_display = (
        "out_refund_no",
        "order",
        "status",
        "cause",
        yuan_display("amount_fen", _("金额")),
        "created_at",
        "success_at",
        "last_error",
    )
    list_filter = ("status", "cause", "created_at")
    search_fields = ("=out_refund_no", "=order__no", "=payment__out_trade_no")
    list_select_related = ("order",)
    inlines = (RefundLineInline,)


@admin.register(RefundLine)
class RefundLineAdmin(ReadOnlyAdmin[RefundLine]):
    list_display = ("refund", "line", yuan_display("amount_fen", _("金额")))
    search_fields = ("=refund__out_refund_no",)
    list_select_related = ("refund", "line")


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


class EntryInline(_ReadOnlyInline):
    model = Entry
    fields = ("account", "amount_fen")


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin[Journal]):
    list_display = ("kind", "ref", "memo", "posted_at")
    list_filter = ("kind", "posted_at")
    search_fields = ("=ref",)
    inlines = (EntryInline,)


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin[Entry]):
    list_display = ("journal", "account", yuan_display("amount_fen", _("金额")))
    list_filter = ("account",)
    search_fields = ("=journal__ref",)
    list_select_related = ("journal",)


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin[LedgerAccount]):
    list_display = ("code", yuan_display("balance_fen", _("余额")), "may_be_negative")
    search_fields = ("code",)


@admin.register(PlatformEvent)
class PlatformEventAdmin(ReadOnlyAdmin[PlatformEvent]):
    list_display = ("event_id", "source", "event_type", "received_at")
    list_filter = ("source", "event_type", "received_at")
    search_fields = ("=event_id",)


@admin.register(EventHandling)
class EventHandlingAdmin(ReadOnlyAdmin[EventHandling]):
    """`需人工处理` are notices that ten tries could not place."""

    list_display = ("event", "kind", "business_key", "state", "attempts", "last_error", "done_at")
    list_filter = ("state", "kind")
    search_fields = ("=business_key", "=event__event_id")
    list_select_related = ("event",)


@admin.register(Effect)
class EffectAdmin(ReadOnlyAdmin[Effect]):
    list_display = ("kind", "business_key", "ref", "created_at")
    list_filter = ("kind", "created_at")
    search_fields = ("=business_key", "=ref")
