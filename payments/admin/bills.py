"""Reconciliation with the platform's bills: days, their rows, and where they differ."""

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from accounts.models import User
from kernel.admin import ReadOnlyAdmin, yuan_display
from kernel.money import yuan
from kernel.queue import wake
from payments.admin.acting import ReasonForm, acted
from payments.models import BillRow, Discrepancy, Reconciliation
from payments.services.reconciling import discrepancy_close, reconciliation_again

_LIST = "admin:payments_discrepancy_changelist"


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin[Reconciliation]):
    """One line per day and channel; the numbers lead to its differences."""

    list_display = (
        "date",
        "channel",
        "state",
        "rows_link",
        "matched",
        "open_link",
        "found_link",
        "next_try_at",
        "done_at",
        "last_error",
    )
    list_filter = ("status", "channel", "date")
    search_fields = ("=date", "last_error")
    ordering = ("-date", "channel")
    actions = ("again",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Reconciliation], search_term: str
    ) -> tuple[QuerySet[Reconciliation], bool]:
        """By day (2026-11-24, or a part of it) or by the text of the error."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(last_error__icontains=term) | Q(date__icontains=term)), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reconciliation]:
        open_ones = Q(discrepancies__state=Discrepancy.State.OPEN)
        rows: QuerySet[Reconciliation] = super().get_queryset(request)
        return rows.annotate(
            found=Count("discrepancies"), open_count=Count("discrepancies", filter=open_ones)
        )

    @display(
        description=_("状态"),
        ordering="status",
        label={"done": "success", "failed": "danger", "due": "info", "fetched": "info"},
    )  # type: ignore[untyped-decorator]
    def state(self, row: Reconciliation) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @admin.display(description=_("账单行数"), ordering="rows")
    def rows_link(self, row: Reconciliation) -> str | SafeString:
        return _to(reverse("admin:payments_billrow_changelist"), row, row.rows)

    @admin.display(description=_("待处理差异"), ordering="open_count")
    def open_link(self, row: Reconciliation) -> str | SafeString:
        count = cast("int", row.open_count)  # type: ignore[attr-defined]
        return _to(reverse(_LIST), row, count, "&state__exact=open")

    @admin.display(description=_("全部差异"), ordering="found")
    def found_link(self, row: Reconciliation) -> str | SafeString:
        return _to(reverse(_LIST), row, cast("int", row.found))  # type: ignore[attr-defined]

    @action(description=_("重新对账"), permissions=["run"])  # type: ignore[untyped-decorator]
    def again(self, request: HttpRequest, queryset: QuerySet[Reconciliation]) -> None:
        """The chosen days are due now; a worker fetches their bills anew."""
        by = cast("User", request.user)
        chosen = list(queryset.values_list("pk", flat=True)[:31])
        for pk in chosen:
            reconciliation_again(reconciliation_id=pk, by=by)
        wake("payments.reconcile")
        messages.success(request, gettext("%(count)d 天已重新排队。") % {"count": len(chosen)})

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_reconciliation")


def _to(url: str, row: Reconciliation, count: int, more: str = "") -> str | SafeString:
    if not count:
        return "0"
    address = f"{url}?reconciliation__id__exact={row.pk}{more}"
    return format_html('<a href="{}">{}</a>', address, f"{count:,}")


@admin.register(BillRow)
class BillRowAdmin(ReadOnlyAdmin[BillRow]):
    list_display = (
        "reconciliation",
        "kind",
        "number",
        yuan_display("amount_fen", _("金额")),
        yuan_display("fee_fen", _("手续费")),
        "status",
        "at",
    )
    list_filter = ("kind", "reconciliation__channel", "at")
    search_fields = ("=number", "=trade_no", "=platform_no")
    list_select_related = ("reconciliation",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "reconciliation__id__exact" or super().lookup_allowed(
            lookup, value, request
        )


@admin.register(Discrepancy)
class DiscrepancyAdmin(ReadOnlyAdmin[Discrepancy]):
    """What the system could repair is repaired; what is open waits for a person."""

    list_display = (
        "reconciliation",
        "kind",
        "subject",
        "number",
        yuan_display("ours_fen", _("我方")),
        yuan_display("theirs_fen", _("平台")),
        "ours_status",
        "theirs_status",
        "handled",
        "repair",
    )
    list_filter = ("state", "kind", "subject", "reconciliation__channel", "created_at")
    search_fields = ("=number", "repair")
    list_select_related = ("reconciliation", "resolved_by")
    actions_detail = ("close",)
    actions_row = ("close",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "reconciliation__id__exact" or super().lookup_allowed(
            lookup, value, request
        )

    @display(
        description=_("处理"),
        ordering="state",
        label={"open": "danger", "repaired": "success", "closed": "info"},
    )  # type: ignore[untyped-decorator]
    def handled(self, row: Discrepancy) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @action(description=_("标记为已处理"), url_path="close", permissions=["close"])  # type: ignore[untyped-decorator]
    def close(self, request: HttpRequest, object_id: int) -> HttpResponse:
        row = get_object_or_404(Discrepancy.objects.select_related("reconciliation"), pk=object_id)

        def act(filled: dict[str, Any]) -> str:
            closed = discrepancy_close(
                discrepancy_id=row.pk, by=cast("User", request.user), reason=filled["reason"]
            )
            return gettext("差异 %(number)s 已标记为已处理。") % {"number": closed.number}

        return acted(
            self,
            request,
            ReasonForm(request.POST or None),
            act,
            title=gettext("这项差异已在系统外核实处理？请写明结论。"),
            facts=_facts(row),
            back=reverse(_LIST),
        )

    def has_close_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("payments.change_discrepancy")


def _facts(row: Discrepancy) -> list[str]:
    def side(name: str, fen: int | None, status: str) -> str:
        amount = "—" if fen is None else f"¥{yuan(fen)}"
        return f"{name}：{amount} {status}".rstrip()

    return [
        f"{row.reconciliation} · {row.get_subject_display()} · {row.get_kind_display()}",
        row.number,
        side(gettext("我方"), row.ours_fen, row.ours_status),
        side(gettext("平台"), row.theirs_fen, row.theirs_status),
        *filter(None, [row.repair]),
    ]
