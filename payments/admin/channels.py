"""Items of virtual payment: what is published, and what could not be."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from accounts.models import User
from kernel import staff
from kernel.admin import ReadOnlyAdmin, yuan_display
from payments.admin.actions import ReasonForm, reason_of
from payments.models import XpayItem
from payments.services.items import item_again, item_published_by_hand


@admin.register(XpayItem)
class XpayItemAdmin(ReadOnlyAdmin[XpayItem]):
    """`失败` says why; it is tried again, or published at the platform by hand."""

    list_display = (
        "item_id",
        "product",
        yuan_display("price_fen", _("价格")),
        "state",
        "usable_at",
        "checks",
        "next_check_at",
        "last_error",
    )
    list_filter = ("state", "created_at")
    search_fields = ("=item_id", "product__title")
    list_select_related = ("product",)
    action_form = ReasonForm
    actions = ("again", "by_hand")

    def has_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_xpayitem")

    @action(description=_("重新上传失败的道具"), permissions=["again"])  # type: ignore[untyped-decorator]
    def again(self, request: HttpRequest, queryset: QuerySet[XpayItem]) -> None:
        self._each(request, queryset, "payments.item_again", lambda pk: item_again(item_id=pk))

    @action(description=_("已在微信后台手工发布，可以出售"), permissions=["again"])  # type: ignore[untyped-decorator]
    def by_hand(self, request: HttpRequest, queryset: QuerySet[XpayItem]) -> None:
        self._each(
            request,
            queryset,
            "payments.item_published_by_hand",
            lambda pk: item_published_by_hand(item_id=pk),
        )

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[XpayItem],
        name: str,
        change: Callable[[int], bool],
    ) -> None:
        reason, done = reason_of(request), 0
        if not reason:
            self.message_user(request, _("请填写原因。"), messages.ERROR)
            return
        for item in queryset:
            with transaction.atomic():
                if change(item.pk) and isinstance(request.user, User):
                    done += 1
                    target = f"xpay_item:{item.item_id}"
                    staff.record(by=request.user, action=name, target=target, reason=reason)
        said = _("已处理 %(count)s 个道具。") % {"count": done}
        self.message_user(request, said, messages.SUCCESS if done else messages.WARNING)
