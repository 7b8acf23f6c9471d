"""Bases of all admin pages, and the kernel's own."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.decorators import action

from kernel import outbox
from kernel.models import Heartbeat, IdempotencyKey, OutboxRow, StaffAction
from kernel.money import yuan

M = TypeVar("M", bound=Model)


class ModelAdmin(UnfoldModelAdmin, Generic[M]):  # type: ignore[misc]
    """Every list of the product: quick to open, few queries, no select-all surprises."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = False
    warn_unsaved_form = True


class ReadOnlyAdmin(ModelAdmin[M]):
    """Evidence: staff look and search; changes go through services."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def yuan_display(field: str, label: str | Promise) -> Callable[[Any], str]:
    """An admin column that shows an integer fen field as yuan."""

    def shown(obj: Any) -> str:
        fen = getattr(obj, field)
        return "—" if fen is None else f"¥{yuan(fen)}"

    shown.short_description = label  # type: ignore[attr-defined]
    shown.admin_order_field = field  # type: ignore[attr-defined]
    return shown


@admin.register(OutboxRow)
class OutboxRowAdmin(ReadOnlyAdmin[OutboxRow]):
    list_display = ("kind", "handler", "state", "attempts", "due_at", "created_at")
    list_filter = ("state", "kind", "handler")
    search_fields = ("key", "handler")
    actions = ("retry",)

    @action(description=_("重新投递已放弃的事件"))  # type: ignore[untyped-decorator]
    def retry(self, request: HttpRequest, queryset: QuerySet[OutboxRow]) -> None:
        for pk in queryset.filter(state=OutboxRow.State.DEAD).values_list("pk", flat=True):
            outbox.retry_dead(pk)


@admin.register(StaffAction)
class StaffActionAdmin(ReadOnlyAdmin[StaffAction]):
    list_display = ("created_at", "user", "action", "target", "reason")
    list_filter = ("action", "created_at")
    search_fields = ("=target", "reason")
    list_select_related = ("user",)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin[IdempotencyKey]):
    list_display = ("route", "user", "key", "status", "created_at")
    list_filter = ("route",)
    search_fields = ("=key",)
    list_select_related = ("user",)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin[Heartbeat]):
    list_display = ("name", "beat_at")
    search_fields = ("name",)
