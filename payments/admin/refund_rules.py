"""Rules that operators set: what learners may have back, and what creators earn."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet, Sum
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from kernel import staff
from kernel.admin import ModelAdmin, ReadOnlyAdmin, yuan_display
from kernel.money import BASIS
from payments.models import LineShare, RefundPolicy, ShareRule

_MOST_DAYS = 365


class Recorded(ModelAdmin[Any]):
    """Every change is kept with who made it and what it says now."""

    noun = ""
    told: tuple[str, ...] = ()

    def save_model(
        self, request: HttpRequest, obj: Model, form: "forms.ModelForm[Any]", change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        self._record(request, obj, "change" if change else "add")

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self._record(request, obj, "delete")
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self._record(request, obj, "delete")
        super().delete_queryset(request, queryset)

    def _record(self, request: HttpRequest, obj: Model, deed: str) -> None:
        staff.record(
            by=cast("User", request.user),
            action=f"payments.{self.noun}_{deed}",
            target=f"{self.noun}:{obj.pk}",
            reason=gettext("后台操作"),
            **{name: str(getattr(obj, name)) for name in self.told},
        )


class RefundPolicyForm(forms.ModelForm[RefundPolicy]):
    class Meta:
        model = RefundPolicy
        fields = ("product", "kind", "full_days", "full_below_bp", "tail", "tail_days")

    def clean(self) -> dict[str, Any]:
        filled: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("full_days", "tail_days"):
            if (filled.get(name) or 0) > _MOST_DAYS:
                self.add_error(name, gettext("微信只支持一年内的订单退款。"))
        unused = filled.get("tail") == RefundPolicy.Tail.UNUSED
        if unused and (filled.get("tail_days") or 0) <= (filled.get("full_days") or 0):
            self.add_error("tail_days", gettext("须长于全额退款期。"))
        return filled


@admin.register(RefundPolicy)
class RefundPolicyAdmin(Recorded):
    """The row of a product beats the one of its kind, which beats the one for everything."""

    noun = "refund_policy"
    told = ("product_id", "kind", "full_days", "full_below_bp", "tail", "tail_days")
    form = RefundPolicyForm
    list_display = (
        "__str__", "kind", "full_days", "full_below_bp", "tail", "tail_days",
    )  # fmt: skip
    list_filter = ("kind", "tail")
    list_select_related = ("product",)
    search_fields = ("product__title", "=product__scope")
    autocomplete_fields = ("product",)


class ShareRuleForm(forms.ModelForm[ShareRule]):
    class Meta:
        model = ShareRule
        fields = ("scope", "payee", "share_bp", "active")

    def clean(self) -> dict[str, Any]:
        filled: dict[str, Any] = super().clean() or self.cleaned_data
        if filled.get("active") and filled.get("scope") and filled.get("share_bp"):
            others = ShareRule.objects.filter(scope=filled["scope"], active=True)
            others = others.exclude(pk=self.instance.pk)
            taken = others.aggregate(bp=Sum("share_bp"))["bp"] or 0
            if taken + filled["share_bp"] > BASIS:
                text = gettext("同一内容的分成合计不能超过 10000，还可设 %(left)s。")
                self.add_error("share_bp", text % {"left": BASIS - taken})
        return filled


@admin.register(ShareRule)
class ShareRuleAdmin(Recorded):
    """Counts for orders paid from now on; what was earned stays. Switched off, not deleted."""

    noun = "share_rule"
    told = ("scope", "payee", "share_bp", "active")
    form = ShareRuleForm
    list_display = ("scope", "payee", "share_bp", "active", "created_at")
    list_filter = ("active",)
    search_fields = ("=scope", "=payee")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LineShare)
class LineShareAdmin(ReadOnlyAdmin[LineShare]):
    list_display = (
        "line",
        "payee",
        yuan_display("amount_fen", _("分成")),
        yuan_display("returned_fen", _("已收回")),
    )
    list_filter = ("payee",)
    search_fields = ("=payee", "=line__order__no")
    list_select_related = ("line",)
