"""Fees from the bill, and the account's movements compared with our cash."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from payments.bill_rules import AMOUNT, FUND, OURS_ONLY, THEIRS_ONLY, Found
from payments.ledger_fees import Fee, post_fees
from payments.locks import payments_locked_by_id
from payments.models import BillRow, Reconciliation

BATCH = 500
# Refunds may succeed days after the bill that names them; their fees are booked then.
_LATE = timedelta(days=35)

_PAYMENT_FEES = """
SELECT p.id, b.number, p.channel, b.fee_fen
FROM payments_billrow b JOIN payments_payment p ON p.out_trade_no = b.number
WHERE b.reconciliation_id = %(row)s AND b.kind = 'payment' AND p.status = 'succeeded'
  AND p.fee_fen IS NULL
ORDER BY p.id LIMIT %(batch)s
"""
_SET_FEES = """
UPDATE payments_payment p SET fee_fen = fees.fen
FROM unnest(%s::bigint[], %s::bigint[]) AS fees(id, fen) WHERE p.id = fees.id
"""
_REFUND_FEES = """
SELECT p.id, b.number, p.channel, b.fee_fen
FROM payments_reconciliation c
JOIN payments_billrow b ON b.reconciliation_id = c.id AND b.kind = 'refund' AND b.fee_fen <> 0
JOIN payments_refund r ON r.out_refund_no = b.number AND r.status = 'succeeded'
JOIN payments_payment p ON p.id = r.payment_id
WHERE c.channel = %(channel)s AND c.date > %(since)s AND c.date <= %(day)s
  AND NOT EXISTS (SELECT 1 FROM payments_journal j WHERE j.kind = 'fee' AND j.ref = b.number)
ORDER BY b.id LIMIT %(batch)s
"""
# Movements by our number over the day and its neighbours: the platform books a payment of the
# last second on the next day. Ours: the cash of the number's journals.
_FUNDS = """
WITH mine AS (
    SELECT DISTINCT trade_no AS number FROM payments_billrow
    WHERE reconciliation_id = %(row)s AND kind = 'fund'
), fund AS (
    SELECT b.trade_no AS number, sum(b.amount_fen)::bigint AS fen
    FROM payments_billrow b JOIN payments_reconciliation c ON c.id = b.reconciliation_id
    WHERE c.channel = %(channel)s AND c.date BETWEEN %(before)s AND %(after)s
      AND b.kind = 'fund' GROUP BY b.trade_no
), trade AS (
    SELECT kind, number FROM payments_billrow
    WHERE reconciliation_id = %(row)s AND kind <> 'fund'
), booked AS (
    SELECT 'succeeded' = p.status AS done, p.out_trade_no AS number FROM payments_payment p
    WHERE p.out_trade_no IN (SELECT number FROM mine UNION SELECT number FROM trade)
    UNION ALL
    SELECT 'succeeded' = r.status, r.out_refund_no FROM payments_refund r
    WHERE r.out_refund_no IN (SELECT number FROM mine UNION SELECT number FROM trade)
), cash AS (
    SELECT j.ref AS number, sum(e.amount_fen)::bigint AS fen
    FROM payments_journal j JOIN payments_entry e ON e.journal_id = j.id
    WHERE j.kind IN ('payment', 'refund', 'fee') AND e.account LIKE 'cash:%%'
      AND j.ref IN (SELECT number FROM booked WHERE done) GROUP BY j.ref
)
SELECT coalesce(b.number, m.number), c.fen, f.fen, b.number IS NOT NULL
FROM booked b FULL JOIN mine m ON m.number = b.number
LEFT JOIN fund f ON f.number = coalesce(b.number, m.number)
LEFT JOIN cash c ON c.number = b.number
WHERE CASE WHEN b.number IS NULL
           THEN NOT EXISTS (SELECT 1 FROM trade t WHERE t.number = m.number)
           ELSE b.done AND c.fen IS DISTINCT FROM f.fen END
ORDER BY 1
"""


@transaction.atomic
def _payment_fees_batch(row: Reconciliation) -> int:
    found = _rows(_PAYMENT_FEES, row)
    if not found:
        return 0
    payments_locked_by_id([pk for pk, *_rest in found])
    with connection.cursor() as cursor:
        cursor.execute(_SET_FEES, [[line[0] for line in found], [line[3] for line in found]])
    post_fees([Fee(number, channel, fee) for _pk, number, channel, fee in found])
    return len(found)


@transaction.atomic
def _refund_fees_batch(row: Reconciliation) -> int:
    found = _rows(_REFUND_FEES, row)
    return post_fees([Fee(number, channel, fee) for _pk, number, channel, fee in found])


def fees_book(*, row: Reconciliation) -> None:
    """Every fee of the stored bill is on its payment and in the journal, once per number.

    In batches of their own transactions: killed in between, the next run does the rest.
    """
    while _payment_fees_batch(row):
        pass
    while _refund_fees_batch(row):
        pass


def fund_differences(row: Reconciliation) -> list[Found]:
    """Movements of the account that our cash does not know, or knows otherwise.

    Fees must be booked before. Money of a refund that is not through yet is no difference.
    """
    if row.channel != Reconciliation.Channel.WECHAT:
        return []
    if not BillRow.objects.filter(reconciliation=row, kind=FUND).exists():
        # Without a single movement the bill itself is missing, not each of its lines.
        return [Found(FUND, str(row.date), OURS_ONLY)] if row.rows else []
    return [_found(*line) for line in _rows(_FUNDS, row)]


def _found(number: str, ours_fen: int | None, theirs_fen: int | None, known: bool) -> Found:
    if not known:
        kind = THEIRS_ONLY
    elif theirs_fen is None:
        kind = OURS_ONLY
    else:
        kind = AMOUNT
    return Found(FUND, number, kind, ours_fen, theirs_fen)


@dataclass(frozen=True)
class FundSums:
    """What came and went by the fund bill, and by our cash for the same numbers."""

    income_fen: int
    expense_fen: int
    fees_fen: int
    ours_fen: int


_SUMS = """
SELECT coalesce(sum(amount_fen) FILTER (WHERE amount_fen > 0), 0)::bigint,
       coalesce(-sum(amount_fen) FILTER (WHERE amount_fen < 0), 0)::bigint
FROM payments_billrow WHERE reconciliation_id = %(row)s AND kind = 'fund'
"""
_OURS = """
SELECT coalesce(sum(b.fee_fen), 0)::bigint,
       (SELECT coalesce(sum(e.amount_fen), 0)::bigint
        FROM payments_billrow n
        JOIN payments_journal j ON j.ref = n.number AND j.kind IN ('payment', 'refund', 'fee')
        JOIN payments_entry e ON e.journal_id = j.id AND e.account LIKE 'cash:%%'
        WHERE n.reconciliation_id = %(row)s AND n.kind <> 'fund')
FROM payments_billrow b WHERE b.reconciliation_id = %(row)s AND b.kind <> 'fund'
"""


def fund_sums(row: Reconciliation) -> FundSums:
    """The day's sums, for people."""
    ((income, expense),) = _rows(_SUMS, row)
    ((fees, ours),) = _rows(_OURS, row)
    return FundSums(income, expense, fees, ours)


def _rows(query: str, row: Reconciliation) -> Sequence[Any]:
    day = timedelta(days=1)
    values: dict[str, Any] = {
        "row": row.pk,
        "channel": row.channel,
        "day": row.date,
        "since": row.date - _LATE,
        "before": row.date - day,
        "after": row.date + day,
        "batch": BATCH,
    }
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
