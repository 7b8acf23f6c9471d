"""What is sold, and where."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from kernel.admin import ModelAdmin, ReadOnlyAdmin, yuan_display
from payments.admin.trying import try_price
from payments.errors import BundleRefused
from payments.models import BundleItem, ChannelRule, Plan, Product
from payments.services.items import items_want
from payments.services.products import bundle_check


class ProductForm(forms.ModelForm[Product]):
    """Prices in their bounds; a promotion is below the price and ends after it begins."""

    def clean(self) -> dict[str, Any]:
        filled: dict[str, Any] = super().clean() or self.cleaned_data
        price, promo = filled.get("price_fen"), filled.get("promo_fen")
        since, until = filled.get("promo_from"), filled.get("promo_until")
        listed = filled.get("list_fen")
        if price is not None and listed is not None and price > listed:
            self.add_error("price_fen", _("售价不能高于原价。"))
        if promo is not None and price is not None and promo >= price:
            self.add_error("promo_fen", _("促销价须低于售价。"))
        if promo is None and (since or until):
            self.add_error("promo_fen", _("填写了促销时间，请填写促销价。"))
        if since and until and until <= since:
            self.add_error("promo_until", _("促销结束须晚于开始。"))
        return filled


class BundleItemFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """What may stand in a bundle is the service's rule."""

    def clean(self) -> None:
        super().clean()
        kept = [
            form.cleaned_data["item"]
            for form in self.forms
            if form.is_valid()
            and form.cleaned_data.get("item")
            and not form.cleaned_data.get("DELETE")
        ]
        try:
            bundle_check(self.instance, kept)
        except BundleRefused as refused:
            said = [sentence for field in refused.detail.values() for sentence in field]
            raise forms.ValidationError(said) from refused


class BundleItemInline(TabularInline):  # type: ignore[misc]
    model = BundleItem
    fk_name = "bundle"
    formset = BundleItemFormSet
    fields = ("item", "position")
    autocomplete_fields = ("item",)
    extra = 0


@admin.register(Product)
class ProductAdmin(ModelAdmin[Product]):
    """Prices may be changed here; orders made before keep theirs."""

    form = ProductForm
    list_display = (
        "title",
        "kind",
        yuan_display("price_fen", _("售价")),
        yuan_display("list_fen", _("原价")),
        yuan_display("promo_fen", _("促销价")),
        "promo_until",
        "channels",
        "active",
    )
    list_filter = ("kind", "active")
    search_fields = ("title", "=scope", "=key")
    readonly_fields = ("kind", "scope", "key", "owner_ref", "created_at", "updated_at")
    actions = ("try_chosen",)
    actions_list = ("try_any",)

    def get_inlines(self, request: HttpRequest, obj: Product | None = None) -> list[Any]:
        inlines: list[Any] = super().get_inlines(request, obj)
        if obj is not None and obj.kind == Product.Kind.BUNDLE:
            return [*inlines, BundleItemInline]
        return inlines

    @action(description=_("试算价格"))  # type: ignore[untyped-decorator]
    def try_chosen(self, request: HttpRequest, queryset: QuerySet[Product]) -> HttpResponse:
        numbers = ",".join(str(pk) for pk in queryset.values_list("pk", flat=True)[:20])
        address = reverse("admin:payments_product_try_any")
        return HttpResponseRedirect(f"{address}?items={numbers}")

    @action(description=_("试算价格"), url_path="try-price", permissions=["try"])  # type: ignore[untyped-decorator]
    def try_any(self, request: HttpRequest) -> HttpResponse:
        return try_price(self, request)

    def has_try_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_view_permission(request))

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        """A new price wants an item of its own for virtual payment."""
        super().save_model(request, obj, form, change)
        items_want(product=obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        return False


@admin.register(BundleItem)
class BundleItemAdmin(ReadOnlyAdmin[BundleItem]):
    """Which bundles hold what; changed on the bundle's own page."""

    list_display = ("bundle", "item", "position")
    list_filter = ("bundle__active",)
    search_fields = ("bundle__title", "item__title")
    list_select_related = ("bundle", "item")


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
