"""The page on which operators try a price: any things, any learner, any moment. Stores nothing."""

import re
from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts.models import User
from kernel.errors import DomainError
from kernel.money import yuan
from payments.admin.acting import refusal
from payments.models.products import Platform
from payments.services.pricing import Priced, Terms, better_than, price_now

_ITEM = re.compile(r"^(\d{1,18})(?:[xX×](\d{1,2}))?$")


class TryForm(forms.Form):
    items = forms.CharField(
        label=_("商品编号"),
        help_text=_("多件用逗号分隔；礼品可写份数，如 12x3"),
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
    )
    learner = forms.CharField(
        label=_("学员"),
        help_text=_("编号或用户名；留空为任意访客（没有会员价、优惠券与积分）"),
        max_length=150,
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    platform = forms.ChoiceField(
        label=_("平台"),
        choices=Platform.choices,
        initial=Platform.ANDROID,
        widget=UnfoldAdminSelectWidget,
    )
    at = forms.DateTimeField(
        label=_("时间"),
        help_text=_("留空为现在；可填将来的时间查看促销"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
    )
    coupon_id = forms.IntegerField(
        label=_("优惠券编号"), required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    points = forms.IntegerField(
        label=_("积分"), required=False, min_value=0, widget=UnfoldAdminIntegerFieldWidget
    )
    best = forms.BooleanField(
        label=_("自动选最省的优惠券与积分"), required=False, widget=UnfoldBooleanWidget
    )
    as_gift = forms.BooleanField(label=_("作为礼品"), required=False, widget=UnfoldBooleanWidget)

    def clean_items(self) -> list[dict[str, int]]:
        found = []
        for text in re.split(r"[,，\s]+", self.cleaned_data["items"].strip()):
            match = _ITEM.match(text)
            if match is None:
                raise forms.ValidationError(_("无法识别：%(text)s"), params={"text": text[:20]})
            found.append({"product_id": int(match[1]), "quantity": int(match[2] or 1)})
        return found

    def clean_learner(self) -> User | None:
        text = self.cleaned_data["learner"].strip()
        if not text:
            return None
        wanted = Q(username=text)
        if text.isascii() and text.isdigit() and len(text) < 19:
            wanted |= Q(pk=int(text))
        found = User.objects.filter(wanted).order_by("pk").first()
        if found is None:
            raise forms.ValidationError(_("没有这位学员。"))
        return found

    def clean(self) -> dict[str, Any]:
        filled: dict[str, Any] = super().clean() or self.cleaned_data
        asked = filled.get("coupon_id") or filled.get("points") or filled.get("best")
        if asked and filled.get("learner") is None and "learner" not in self.errors:
            self.add_error("learner", _("使用优惠券或积分时请填写学员。"))
        return filled


def try_price(page: "ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """The explained price of what the address asks for; the address can be passed on."""
    asked = request.GET if "platform" in request.GET else None
    form = TryForm(asked, initial={"items": request.GET.get("items", "")})
    context = {
        **page.admin_site.each_context(request),
        "title": _("试算价格"),
        "form": form,
        "back": reverse("admin:payments_product_changelist"),
    }
    if form.is_valid():
        try:
            context["result"] = _result(form.cleaned_data)
        except DomainError as refused:
            form.add_error(None, refusal(refused))
    return TemplateResponse(request, "payments/try_price.html", context)


def _result(filled: dict[str, Any]) -> dict[str, Any]:
    learner = filled["learner"]
    priced = price_now(
        user=learner,
        items=filled["items"],
        platform=filled["platform"],
        coupon_id=filled["coupon_id"],
        points=filled["points"] or 0,
        best=filled["best"],
        terms=Terms(as_gift=filled["as_gift"]),
        at=filled["at"],
    )
    now = filled["at"] is None
    better = better_than(priced, user=learner) if learner is not None and now else None
    return {**_shown(priced), "better": better}


def _shown(priced: Priced) -> dict[str, Any]:
    return {
        "total": yuan(priced.total_fen),
        "discount": yuan(priced.discount_fen),
        "points": yuan(priced.points_value_fen),
        "payable": yuan(priced.payable_fen),
        "lines": [
            {
                "title": line.item.title,
                "scope": line.item.scope or line.item.gives,
                "quantity": line.item.quantity,
                "steps": [(step.text, yuan(step.amount_fen)) for step in line.steps],
                "payable": yuan(line.payable_fen),
            }
            for line in priced.lines
        ],
    }
