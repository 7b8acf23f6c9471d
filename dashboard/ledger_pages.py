"""Finance pages over the journal: the statement of an account, its file, the trial balance."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.figures import money
from dashboard.links import row_url, story_url
from dashboard.pages import operator_page
from dashboard.periods import Period
from dashboard.statement import Subject, accounts, in_batches, statement, subjects, trial_balance
from kernel import clock
from kernel.money import yuan
from payments.ledger_words import account_title, journal_kind
from payments.models import Entry, Journal

PAGE = 100
_FILE_BATCH = 1000
_BOM = "\ufeff"  # spreadsheets take a file for UTF-8 by it
_LONGEST = timedelta(days=3660)
_DATE = forms.DateInput(attrs={"type": "date"})


class StatementForm(forms.Form):
    """Which account, and from which day to which."""

    account = forms.RegexField(
        r"^[a-z_]*(:[a-z0-9_]*)?\*?$", max_length=60, required=False, label=gettext_lazy("科目")
    )
    first = forms.DateField(widget=_DATE, label=gettext_lazy("起始日"))
    last = forms.DateField(widget=_DATE, label=gettext_lazy("截止日"))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        first, last = data.get("first"), data.get("last")
        if first and last and not timedelta(0) <= last - first <= _LONGEST:
            raise forms.ValidationError(_("截止日须在起始日之后，区间不超过十年。"))
        return data


@dataclass(frozen=True)
class Line:
    """An entry as the page shows it."""

    at: datetime
    kind: str
    ref: str
    memo: str
    account: str
    debit: str
    credit: str
    balance: str
    journal_url: str
    story_url: str
    order_no: str


def _default_period() -> Period:
    today = clock.local_date()
    return Period(first=today.replace(day=1), last=today)


def _asked(request: HttpRequest) -> tuple[StatementForm, str, Period]:
    """The form, and what it asks for: this month of all accounts until it is valid."""
    period = _default_period()
    default = {"account": "cash", "first": period.first, "last": period.last}
    given = {name: request.GET[name] for name in default if name in request.GET}
    form = StatementForm({**default, **given})
    if not form.is_valid():
        return form, str(default["account"]), period
    data = form.cleaned_data
    return form, data["account"], Period(data["first"], data["last"])


@operator_page(Entry)
def statement_page(request: HttpRequest) -> HttpResponse:
    """Opening balance, every entry with the balance after it, closing balance."""
    form, account, period = _asked(request)
    found = statement(account, period)
    paginator = Paginator(found.entries, PAGE)
    paginator.count = found.count  # counted already, without the running balance
    page = paginator.get_page(request.GET.get("p"))
    entries = list(page.object_list)
    known = subjects(entry.journal.ref for entry in entries)
    query = {"account": account, "first": period.first, "last": period.last}
    context = {
        "title": _("科目明细"),
        "form": form,
        "accounts": [(code, account_title(code)) for code in accounts()],
        "account": account,
        "account_title": account_title(account),
        "period": period,
        "cards": [
            (_("期初余额"), money(found.opening_fen)),
            (_("借方合计"), money(found.debit_fen)),
            (_("贷方合计"), money(-found.credit_fen)),
            (_("期末余额"), money(found.closing_fen)),
        ],
        "count": found.count,
        "page": page,
        "lines": [_line(entry, known.get(entry.journal.ref)) for entry in entries],
        "query": urlencode(query),
    }
    return TemplateResponse(request, "dashboard/statement.html", context)


def _line(entry: Any, subject: Subject | None) -> Line:
    journal = entry.journal
    return Line(
        at=journal.posted_at,
        kind=journal_kind(journal.kind),
        ref=journal.ref,
        memo=journal.memo,
        account=entry.account,
        debit=money(entry.amount_fen) if entry.amount_fen > 0 else "",
        credit=money(-entry.amount_fen) if entry.amount_fen < 0 else "",
        balance=money(int(entry.running)),
        journal_url=row_url(Journal, journal.pk),
        story_url=story_url(subject.order_id) if subject else "",
        order_no=subject.order_no if subject else "",
    )


class _Echo:
    """What csv writes into: it gives the line back."""

    def write(self, text: str) -> str:
        return text


@operator_page(Entry)
def statement_file(request: HttpRequest) -> StreamingHttpResponse:
    """The same statement as a file for spreadsheets, read in pieces. Amounts in yuan."""
    _form, account, period = _asked(request)
    name = f"{account.strip('*').replace(':', '-') or 'all'}_{period.first}_{period.last}.csv"
    answer = StreamingHttpResponse(
        _file_lines(account, period), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _file_lines(account: str, period: Period) -> Iterator[str]:
    write = csv.writer(_Echo()).writerow
    found = statement(account, period)
    head = (
        *(_("时间"), _("类型"), _("业务单号"), _("订单号"), _("科目")),
        *(_("借方(元)"), _("贷方(元)"), _("余额(元)"), _("摘要")),
    )
    yield _BOM + str(write(head))
    yield str(write(("", _("期初余额"), "", "", account, "", "", yuan(found.opening_fen), "")))
    rows = found.entries.iterator(chunk_size=_FILE_BATCH)
    for batch in in_batches(rows, _FILE_BATCH):
        known = subjects(entry.journal.ref for entry in batch)
        for entry in batch:
            yield str(write(_file_line(entry, known.get(entry.journal.ref))))
    closing = yuan(found.closing_fen)
    totals = (yuan(found.debit_fen), yuan(-found.credit_fen), closing)
    yield str(write(("", _("期末余额"), "", "", account, *totals, "")))


def _file_line(entry: Any, subject: Subject | None) -> tuple[str, ...]:
    journal = entry.journal
    return (
        f"{journal.posted_at.astimezone(clock.SHOP_ZONE):%Y-%m-%d %H:%M:%S}",
        journal_kind(journal.kind),
        # Spreadsheets turn 24 digits into a rounded number: a tab keeps them text.
        f"\t{journal.ref}",
        f"\t{subject.order_no}" if subject else "",
        entry.account,
        yuan(entry.amount_fen) if entry.amount_fen > 0 else "",
        yuan(-entry.amount_fen) if entry.amount_fen < 0 else "",
        yuan(int(entry.running)),
        _harmless(journal.memo),
    )


def _harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


class MomentForm(forms.Form):
    """Until which day, that day included."""

    last = forms.DateField(widget=_DATE, label=gettext_lazy("截至"))


@operator_page(Entry)
def trial_balance_page(request: HttpRequest) -> HttpResponse:
    """Every account's balance at the end of a day, or now; debits equal credits."""
    today = clock.local_date()
    form = MomentForm({"last": request.GET.get("last", today)})
    last = form.cleaned_data["last"] if form.is_valid() else today
    at = clock.now() if last == today else Period(last, last).end
    families = trial_balance(at)
    balances = [member for family in families for member in family.members]
    debit = sum(balance.debit_fen for balance in balances)
    credit = sum(balance.credit_fen for balance in balances)
    context = {
        "title": _("试算平衡"),
        "form": form,
        "last": last,
        "at": at,
        "families": [
            {
                "name": family.name,
                "title": account_title(family.name),
                "sum": _sides(family.balance),
                "members": [
                    {"account": member.account, "sum": _sides(member)} for member in family.members
                ]
                if len(family.members) > 1 or family.members[0].account != family.name
                else [],
            }
            for family in families
        ],
        "debit": money(debit),
        "credit": money(credit),
        "difference": money(debit - credit),
        "balanced": debit == credit,
        "first": last.replace(day=1),
    }
    return TemplateResponse(request, "dashboard/trial_balance.html", context)


def _sides(balance: Any) -> dict[str, str]:
    return {
        "debit": money(balance.debit_fen) if balance.debit_fen else "",
        "credit": money(balance.credit_fen) if balance.credit_fen else "",
        "entries": f"{balance.entries:,}",
    }
