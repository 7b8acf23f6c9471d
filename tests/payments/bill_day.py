"""A day of a busy shop, in our tables and in the platform's book, with planted differences.

Ours is written straight into the tables (thousands of rows), the platform's through the
sandbox's control. What each plant must lead to is said beside it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from payments.models import Entry, Journal, Order, OrderLine, Payment, Refund, RefundLine
from tests.builders import make_learner

SHANGHAI = ZoneInfo("Asia/Shanghai")


def moment(day: date, hour: int = 12, minute: int = 0, second: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute, second), tzinfo=SHANGHAI)


def fee_of(fen: int) -> int:
    """0.60 %, half a fen up: worked out with integers alone."""
    return (fen * 60 + 5_000) // 10_000


@dataclass
class Sold:
    """A paid order as both sides know it; `back` is a refund of 100 fen of it."""

    number: str
    fen: int
    at: datetime
    back: str = ""
    openid: str = "oSomebody"


@transaction.atomic
def write_ours(sold: Iterable[Sold], product: Any, user: Any = None) -> None:
    """Orders, payments, refunds of 100 fen and their journals."""
    rows, user = list(sold), user or make_learner()
    orders = Order.objects.bulk_create(
        Order(
            no=row.number,
            user=user,
            status="partially_refunded" if row.back else "paid",
            platform="android",
            total_fen=row.fen,
            payable_fen=row.fen,
            refunded_fen=100 if row.back else 0,
            created_at=row.at - timedelta(minutes=2),
            expires_at=row.at + timedelta(minutes=28),
            paid_at=row.at,
        )
        for row in rows
    )
    lines = OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            line_no=1,
            product=product,
            kind="course",
            title=product.title,
            scope=f"course:{row.number}",
            list_fen=row.fen,
            payable_fen=row.fen,
            refunded_fen=100 if row.back else 0,
        )
        for order, row in zip(orders, rows, strict=True)
    )
    payments = Payment.objects.bulk_create(
        Payment(
            order=order,
            out_trade_no=row.number,
            channel="jsapi",
            status="succeeded",
            effective=True,
            amount_fen=row.fen,
            payer_openid=row.openid,
            transaction_id=f"42{row.number}",
            success_at=row.at,
            created_at=row.at - timedelta(minutes=1),
            refunded_fen=100 if row.back else 0,
        )
        for order, row in zip(orders, rows, strict=True)
    )
    refunds = Refund.objects.bulk_create(
        Refund(
            order=order,
            payment=payment,
            out_refund_no=row.back,
            amount_fen=100,
            cause="user",
            status="succeeded",
            created_at=row.at,
            success_at=row.at,
        )
        for order, payment, row in zip(orders, payments, rows, strict=True)
        if row.back
    )
    by_order = {line.order_id: line for line in lines}
    RefundLine.objects.bulk_create(
        RefundLine(refund=refund, line=by_order[refund.order_id], amount_fen=100)
        for refund in refunds
    )
    _book([("payment", row.number, row.fen) for row in rows])
    _book([("refund", refund.out_refund_no, -100) for refund in refunds])


def _book(facts: list[tuple[str, str, int]]) -> None:
    journals = Journal.objects.bulk_create(Journal(kind=kind, ref=ref) for kind, ref, _ in facts)
    Entry.objects.bulk_create(
        Entry(journal=journal, account=account, amount_fen=fen * sign)
        for journal, (_, _, fen) in zip(journals, facts, strict=True)
        for account, sign in (("cash:jsapi", 1), ("revenue", -1))
    )


def write_theirs(sandbox: Any, day: date, sold: Iterable[Sold]) -> None:
    """The same facts in the platform's book."""
    rows = []
    for row in sold:
        at = row.at.isoformat()
        theirs: dict[str, Any] = {
            "out_trade_no": row.number,
            "transaction_id": f"42{row.number}",
            "amount_fen": row.fen,
            "success_at": at,
            "openid": row.openid,
        }
        if row.back:
            refund = {"out_refund_no": row.back, "amount_fen": 100, "created_at": at}
            theirs["refunds"] = [refund | {"success_at": at}]
        rows.append(theirs)
    sandbox.seed_bill(day.isoformat(), rows)


@dataclass
class Plants:
    """Differences for the bill, and what reconciliation must make of each number."""

    day: date
    drop: list[str] = field(default_factory=list)
    extra: list[dict[str, Any]] = field(default_factory=list)
    amounts: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    wanted: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def want(self, subject: str, number: str, kind: str, state: str) -> None:
        self.wanted[subject, number] = (kind, state)

    def into(self, sandbox: Any) -> None:
        sandbox.plant(
            self.day.isoformat(),
            drop=self.drop,
            extra=self.extra,
            amounts=self.amounts,
            statuses=self.statuses,
        )
