"""Journals and balances."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from kernel.admin import ReadOnlyAdmin, yuan_display
from payments.admin.inlines import ReadOnlyInline
from payments.models import Entry, Journal, LedgerAccount


class EntryInline(ReadOnlyInline):
    model = Entry
    fields = ("account", "amount_fen")


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin[Journal]):
    list_display = ("kind", "ref", "memo", "posted_at")
    list_filter = ("kind", "posted_at")
    search_fields = ("=ref",)
    inlines = (EntryInline,)


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin[Entry]):
    list_display = ("journal", "account", yuan_display("amount_fen", _("金额")))
    list_filter = ("account",)
    search_fields = ("=journal__ref",)
    list_select_related = ("journal",)


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin[LedgerAccount]):
    list_display = ("code", yuan_display("balance_fen", _("余额")), "may_be_negative")
    search_fields = ("code",)
