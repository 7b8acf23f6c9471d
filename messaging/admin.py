"""Operators look at what came and what went; nothing is edited."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.rules import masked
from kernel.admin import ReadOnlyAdmin
from messaging.models import MessageEvent, OutboundMessage


@admin.register(MessageEvent)
class MessageEventAdmin(ReadOnlyAdmin[MessageEvent]):
    list_display = (
        "received_at",
        "account",
        "msg_type",
        "event",
        "openid_masked",
        "content_short",
    )
    list_filter = ("account", "msg_type", "event", "received_at")
    search_fields = ("=openid", "content", "event_key")
    fields = (
        "account",
        "msg_type",
        "event",
        "event_key",
        "openid_masked",
        "content",
        "reply_shown",
        "platform_at",
        "received_at",
        "dedupe_key",
    )
    readonly_fields = fields

    @admin.display(description=_("OpenID"), ordering="openid")
    def openid_masked(self, row: MessageEvent) -> str:
        return masked(row.openid)

    @admin.display(description=_("内容"))
    def content_short(self, row: MessageEvent) -> str:
        return row.content[:40] or row.event_key[:40] or "—"

    @admin.display(description=_("回复"))
    def reply_shown(self, row: MessageEvent) -> str:
        return bytes(row.reply).decode(errors="replace") or "—"


@admin.register(OutboundMessage)
class OutboundMessageAdmin(ReadOnlyAdmin[OutboundMessage]):
    list_display = ("created_at", "user", "kind", "state", "reason", "finished_at")
    list_filter = ("state", "kind", "created_at")
    search_fields = ("=dedupe_key", "text", "user__nickname")
    list_select_related = ("user",)
