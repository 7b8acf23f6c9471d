"""What is sold, and where."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from kernel.admin import ModelAdmin, yuan_display
from payments.models import ChannelRule, Plan, Product
from payments.services.items import items_want


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

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        """A new price wants an item of its own for virtual payment."""
        super().save_model(request, obj, form, change)
        items_want(product=obj)

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
