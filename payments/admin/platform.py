"""What the platform told us."""

from django.contrib import admin

from kernel.admin import ReadOnlyAdmin
from payments.models import Effect, EventHandling, PlatformEvent


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
