"""What the ledger says of accounts: read from journals and entries alone, in fen.

An account is named exactly (`creator_payable:7`), as a family (`cash` is `cash` and every
`cash:…`), or by how it begins (`creator_payable:1*`). Debit is positive, credit negative.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F, Q, QuerySet, Sum, Window

from dashboard.periods import Period
from payments.models import Entry, Order, Payment, Refund

# Families of one account per party are offered by their family's name.
_MANY = 12
_CODES = """
WITH RECURSIVE codes AS (
    SELECT min(account) AS account FROM payments_entry
    UNION ALL
    SELECT (SELECT min(e.account) FROM payments_entry e WHERE e.account > codes.account)
    FROM codes WHERE codes.account IS NOT NULL
)
SELECT account FROM codes WHERE account IS NOT NULL
"""


def accounts() -> list[str]:
    """Names to choose from: each account, or its family where there are many of it."""
    with connection.cursor() as cursor:
        cursor.execute(_CODES)
        codes = [row[0] for row in cursor.fetchall()]
    families: dict[str, list[str]] = {}
    for code in codes:
        families.setdefault(code.partition(":")[0], []).append(code)
    offered: list[str] = []
    for family, members in families.items():
        if members != [family]:
            offered.append(family)
        if len(members) <= _MANY:
            offered += members
    return list(dict.fromkeys(offered))


def named(account: str) -> Q:
    """The entries of an account, a family, or all for ""."""
    if not account:
        return Q()
    if account.endswith("*"):
        return Q(account__startswith=account.rstrip("*"))
    if ":" in account:
        return Q(account=account)
    return Q(account=account) | Q(account__startswith=f"{account}:")


@dataclass(frozen=True)
class Statement:
    """One account's movements in a period: opening + debit + credit = closing."""

    opening_fen: int
    debit_fen: int
    credit_fen: int
    count: int
    entries: QuerySet[Any]  # oldest first, each with `running`: the balance after it

    @property
    def closing_fen(self) -> int:
        return self.opening_fen + self.debit_fen + self.credit_fen


def statement(account: str, period: Period) -> Statement:
    """The statement of `account`: two queries, and one for each page of its entries."""
    mine = Entry.objects.filter(named(account))
    opening = _sum(mine.filter(journal__posted_at__lt=period.start))
    rows = mine.filter(journal__posted_at__gte=period.start, journal__posted_at__lt=period.end)
    figures = rows.aggregate(
        debit=Sum("amount_fen", filter=Q(amount_fen__gt=0), default=0),
        credit=Sum("amount_fen", filter=Q(amount_fen__lt=0), default=0),
    )
    order = ("journal__posted_at", "pk")
    return Statement(
        opening_fen=opening,
        debit_fen=int(figures["debit"]),
        credit_fen=int(figures["credit"]),
        count=rows.count(),
        entries=rows.select_related("journal")
        .annotate(
            running=Window(Sum("amount_fen"), order_by=[F(name).asc() for name in order]) + opening
        )
        .order_by(*order),
    )


def _sum(rows: QuerySet[Entry]) -> int:
    return int(rows.aggregate(total=Sum("amount_fen", default=0))["total"])


@dataclass(frozen=True)
class Balance:
    """One account of a trial balance: on one of the two sides, as it stands."""

    account: str
    balance_fen: int
    entries: int

    @property
    def debit_fen(self) -> int:
        return max(self.balance_fen, 0)

    @property
    def credit_fen(self) -> int:
        return -min(self.balance_fen, 0)


@dataclass(frozen=True)
class Family:
    """The accounts of one kind, with their sum."""

    name: str
    members: tuple[Balance, ...]

    @property
    def balance(self) -> Balance:
        return Balance(
            self.name,
            sum(member.balance_fen for member in self.members),
            sum(member.entries for member in self.members),
        )


def trial_balance(at: datetime) -> list[Family]:
    """Every account's balance before that moment, by family. All of them add up to 0."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.account, sum(e.amount_fen)::bigint, count(*)
            FROM payments_entry e JOIN payments_journal j ON j.id = e.journal_id
            WHERE j.posted_at < %s GROUP BY e.account ORDER BY e.account
            """,
            [at],
        )
        rows = [Balance(*row) for row in cursor.fetchall()]
    families: dict[str, list[Balance]] = {}
    for row in rows:
        families.setdefault(row.account.partition(":")[0], []).append(row)
    return [Family(name, tuple(members)) for name, members in families.items()]


@dataclass(frozen=True)
class Subject:
    """What a journal's number means: an order, and the row of the number itself."""

    order_id: int
    order_no: str
    row: Payment | Refund | None


def subjects(refs: Iterable[str]) -> dict[str, Subject]:
    """What these numbers of journals mean, in three queries; unknown ones are left out."""
    wanted = set(refs)
    if not wanted:
        return {}
    found: dict[str, Subject] = {}
    for order in Order.objects.filter(no__in=wanted).only("no"):
        found[order.no] = Subject(order.pk, order.no, None)
    payments = Payment.objects.filter(out_trade_no__in=wanted).select_related("order")
    for payment in payments.only("out_trade_no", "order__no"):
        found[payment.out_trade_no] = Subject(payment.order_id, payment.order.no, payment)
    refunds = Refund.objects.filter(out_refund_no__in=wanted).select_related("order")
    for refund in refunds.only("out_refund_no", "order__no"):
        found[refund.out_refund_no] = Subject(refund.order_id, refund.order.no, refund)
    return found


def in_batches(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The same rows, `size` at a time."""
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
