"""What the platform told us."""

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from accounts.models import User
from kernel import staff
from kernel.admin import ReadOnlyAdmin
from payments.admin.actions import ReasonForm, reason_of
from payments.flows.parked import dead_event_again
from payments.models import Effect, EventHandling, PlatformEvent
from payments.services.kept_events import event_settled_by_hand


@admin.register(PlatformEvent)
class PlatformEventAdmin(ReadOnlyAdmin[PlatformEvent]):
    list_display = ("event_id", "source", "event_type", "received_at")
    list_filter = ("source", "event_type", "received_at")
    search_fields = ("=event_id",)


@admin.register(EventHandling)
class EventHandlingAdmin(ReadOnlyAdmin[EventHandling]):
    """`需人工处理` are notices that ten tries could not place, and complaints."""

    list_display = ("event", "kind", "business_key", "state", "attempts", "last_error", "done_at")
    list_filter = ("state", "kind", "event__source")
    search_fields = ("=business_key", "=event__event_id")
    list_select_related = ("event",)
    action_form = ReasonForm
    actions = ("again", "settled")

    def has_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_eventhandling")

    @action(description=_("立即重试需人工处理的通知"), permissions=["again"])  # type: ignore[untyped-decorator]
    def again(self, request: HttpRequest, queryset: QuerySet[EventHandling]) -> None:
        user, reason = request.user, reason_of(request)
        if not reason or not isinstance(user, User):
            self.message_user(request, _("请填写原因。"), messages.ERROR)
            return
        for pk in queryset.filter(state=EventHandling.State.DEAD).values_list("pk", flat=True):
            error = dead_event_again(event_id=pk, by=user, reason=reason)
            if error is not None:
                said = _("通知 %(id)s 仍无法处理：%(why)s") % {"id": pk, "why": error.message}
                self.message_user(request, said, messages.WARNING)
            else:
                self.message_user(request, _("通知 %s 已处理。") % pk, messages.SUCCESS)

    @action(description=_("已人工处理完毕"), permissions=["again"])  # type: ignore[untyped-decorator]
    def settled(self, request: HttpRequest, queryset: QuerySet[EventHandling]) -> None:
        user, reason, done = request.user, reason_of(request), 0
        if not reason or not isinstance(user, User):
            self.message_user(request, _("请填写原因。"), messages.ERROR)
            return
        for row in queryset:
            with transaction.atomic():
                if event_settled_by_hand(event_id=row.pk):
                    done += 1
                    target = f"event:{row.event.source}:{row.event.event_id}"
                    name = "payments.event_settled"
                    staff.record(by=user, action=name, target=target, reason=reason)
        said = _("已处理 %(count)s 条通知。") % {"count": done}
        self.message_user(request, said, messages.SUCCESS if done else messages.WARNING)


@admin.register(Effect)
class EffectAdmin(ReadOnlyAdmin[Effect]):
    list_display = ("kind", "business_key", "ref", "created_at")
    list_filter = ("kind", "created_at")
    search_fields = ("=business_key", "=ref")
