"""Operators write templates, rules and codes; ledgers and claimed coupons are evidence."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from incentives.models import (
    CheckIn,
    Coupon,
    CouponTemplate,
    EarningRule,
    PointClawback,
    PointEntry,
    PointLot,
    PointsWallet,
    RedeemCode,
    RedeemUse,
    TemplateUser,
)
from incentives.services import code_set
from kernel.admin import ModelAdmin, ReadOnlyAdmin, yuan_display


class CouponTemplateForm(forms.ModelForm[CouponTemplate]):
    """Counters are no fields of the form, so its constraints can't see them."""

    class Meta:
        model = CouponTemplate
        fields = "__all__"  # noqa: DJ007  (staff alone; counters are not editable)

    def clean_budget_count(self) -> int | None:
        budget: int | None = self.cleaned_data["budget_count"]
        return self._not_below(budget, self.instance.claimed_count)

    def clean_budget_fen(self) -> int | None:
        budget: int | None = self.cleaned_data["budget_fen"]
        return self._not_below(budget, self.instance.claimed_fen)

    def _not_below(self, budget: int | None, claimed: int) -> int | None:
        if budget is not None and budget < claimed:
            raise forms.ValidationError(_("预算不能低于已领取的数量。"))
        return budget


@admin.register(CouponTemplate)
class CouponTemplateAdmin(ModelAdmin[CouponTemplate]):
    """What a claimed coupon was promised by stays as it is: value, floor and scope are closed."""

    form = CouponTemplateForm
    list_display = (
        "title",
        "key",
        yuan_display("discount_fen", _("优惠")),
        yuan_display("min_fen", _("门槛")),
        "claimed",
        "per_user",
        "claimable",
        "active",
        "claim_until",
    )
    list_filter = ("active", "claimable", "claim_until")
    search_fields = ("title", "key", "=code")
    readonly_fields = ("claimed_count", "claimed_fen")

    @admin.display(description=_("已领 / 预算"), ordering="claimed_count")
    def claimed(self, obj: CouponTemplate) -> str:
        budget = _("不限") if obj.budget_count is None else obj.budget_count
        return f"{obj.claimed_count} / {budget}"

    def get_readonly_fields(
        self, request: HttpRequest, obj: CouponTemplate | None = None
    ) -> tuple[str, ...]:
        if obj is None or obj.claimed_count == 0:
            return self.readonly_fields
        return (*self.readonly_fields, "key", "discount_fen", "min_fen", "scopes")

    def has_delete_permission(
        self, request: HttpRequest, obj: CouponTemplate | None = None
    ) -> bool:
        return False


@admin.register(Coupon)
class CouponAdmin(ReadOnlyAdmin[Coupon]):
    list_display = (
        "id",
        "template",
        "user",
        "status",
        yuan_display("value_fen", _("面额")),
        "order_no",
        "expires_at",
        "created_at",
    )
    list_filter = ("status", "template", "expires_at")
    search_fields = ("=id", "=order_no", "=user__username")
    list_select_related = ("template", "user")


@admin.register(TemplateUser)
class TemplateUserAdmin(ReadOnlyAdmin[TemplateUser]):
    list_display = ("template", "user", "claimed", "allowed")
    list_filter = ("template",)
    search_fields = ("=user__username",)
    list_select_related = ("template", "user")


@admin.register(EarningRule)
class EarningRuleAdmin(ModelAdmin[EarningRule]):
    list_display = ("kind", "key", "points", "daily_cap", "lifetime_cap", "valid_days", "active")
    list_filter = ("kind", "active")
    search_fields = ("key",)


@admin.register(PointsWallet)
class PointsWalletAdmin(ReadOnlyAdmin[PointsWallet]):
    list_display = ("user", "balance", "shortfall", "created_at")
    list_filter = ("created_at",)
    search_fields = ("=user__username",)
    list_select_related = ("user",)


@admin.register(PointLot)
class PointLotAdmin(ReadOnlyAdmin[PointLot]):
    list_display = ("id", "user", "source", "granted", "remaining", "expires_at", "created_at")
    list_filter = ("source", "expires_at", "created_at")
    search_fields = ("=id", "=user__username")
    list_select_related = ("user",)


@admin.register(PointEntry)
class PointEntryAdmin(ReadOnlyAdmin[PointEntry]):
    list_display = ("id", "user", "kind", "delta", "ref", "order_no", "text", "created_at")
    list_filter = ("kind", "created_at")
    search_fields = ("=ref", "=order_no", "=user__username")
    list_select_related = ("user",)


@admin.register(PointClawback)
class PointClawbackAdmin(ReadOnlyAdmin[PointClawback]):
    list_display = ("out_refund_no", "order_no", "user", "points", "taken", "created_at")
    list_filter = ("created_at",)
    search_fields = ("=out_refund_no", "=order_no", "=user__username")
    list_select_related = ("user",)


@admin.register(CheckIn)
class CheckInAdmin(ReadOnlyAdmin[CheckIn]):
    list_display = ("user", "day", "streak", "points", "created_at")
    list_filter = ("day",)
    search_fields = ("=user__username",)
    list_select_related = ("user",)


class RedeemCodeForm(forms.ModelForm[RedeemCode]):
    """The code itself is typed once and never shown again: only its hash is kept."""

    code = forms.CharField(
        label=_("兑换码"),
        required=False,
        min_length=6,
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("保存后不再显示，请自行留存。修改时留空表示不变。"),
    )

    class Meta:
        model = RedeemCode
        fields = ("key", "scope", "valid_days", "max_uses", "expires_at", "active")

    def clean_code(self) -> str:
        code = str(self.cleaned_data.get("code", ""))
        if not code and self.instance.pk is None:
            raise forms.ValidationError(_("请填写兑换码。"))
        return code


@admin.register(RedeemCode)
class RedeemCodeAdmin(ModelAdmin[RedeemCode]):
    form = RedeemCodeForm
    list_display = ("key", "hint", "scope", "used_count", "max_uses", "expires_at", "active")
    list_filter = ("active", "expires_at")
    search_fields = ("key", "=scope")

    def save_model(self, request: HttpRequest, obj: RedeemCode, form: Any, change: bool) -> None:
        code = form.cleaned_data["code"]
        if code:
            code_set(obj, code)
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: RedeemCode | None = None) -> bool:
        return False


@admin.register(RedeemUse)
class RedeemUseAdmin(ReadOnlyAdmin[RedeemUse]):
    list_display = ("code", "user", "created_at")
    list_filter = ("created_at",)
    search_fields = ("=code__key", "=user__username")
    list_select_related = ("code", "user")
