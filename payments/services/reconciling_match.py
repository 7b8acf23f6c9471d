"""Matching a stored bill with our books: which numbers differ, and what becomes of differences."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from kernel import clock
from payments import bill_rules
from payments.bill_rules import FUND, OURS_ONLY, PAYMENT, REFUND, Found
from payments.locks import reconciliation_locked
from payments.models import BillRow, Discrepancy, Reconciliation
from payments.services.reconciling import CHANNELS, day_bounds, stored_days
from payments.services.reconciling_funds import fund_differences

# Rows whose amount and state are not plainly the same; `bill_rules` decides about them.
_PAYMENTS = """
SELECT b.number, b.amount_fen, b.status, p.amount_fen, coalesce(p.status, '')
FROM payments_billrow b LEFT JOIN payments_payment p ON p.out_trade_no = b.number
WHERE b.reconciliation_id = %(row)s AND b.kind = 'payment'
  AND (b.status, b.amount_fen, 'succeeded') IS DISTINCT FROM ('SUCCESS', p.amount_fen, p.status)
ORDER BY b.number
"""
_REFUNDS = """
SELECT b.number, b.amount_fen, b.status, r.amount_fen, coalesce(r.status, '')
FROM payments_billrow b LEFT JOIN payments_refund r ON r.out_refund_no = b.number
WHERE b.reconciliation_id = %(row)s AND b.kind = 'refund'
  AND (b.status, b.amount_fen, 'succeeded') IS DISTINCT FROM ('SUCCESS', r.amount_fen, r.status)
ORDER BY b.number
"""
# Ours of that day which no stored bill of any day names: at the edge of a day the platform may
# count a moment to the next one.
_OUR_PAYMENTS = """
SELECT p.out_trade_no, p.amount_fen, p.status
FROM payments_payment p
WHERE p.status = 'succeeded' AND p.channel = ANY(%(channels)s)
  AND p.success_at >= %(start)s AND p.success_at < %(end)s
  AND NOT EXISTS (SELECT 1 FROM payments_billrow b
                  JOIN payments_reconciliation c ON c.id = b.reconciliation_id
                  WHERE b.number = p.out_trade_no AND b.kind = 'payment'
                    AND c.channel = %(channel)s)
ORDER BY p.out_trade_no
"""
# A refund stands in the bill of the day on which it was accepted: some day from its decision
# to its success.
_OUR_REFUNDS = """
SELECT r.out_refund_no, r.amount_fen, r.status,
       greatest(r.created_at, coalesce(r.decided_at, r.created_at)), r.success_at
FROM payments_refund r JOIN payments_payment p ON p.id = r.payment_id
WHERE r.status = 'succeeded' AND p.channel = ANY(%(channels)s)
  AND r.created_at < %(end)s AND r.success_at >= %(start)s
  AND NOT EXISTS (SELECT 1 FROM payments_billrow b
                  JOIN payments_reconciliation c ON c.id = b.reconciliation_id
                  WHERE b.number = r.out_refund_no AND b.kind = 'refund'
                    AND c.channel = %(channel)s)
  AND NOT EXISTS (SELECT 1 FROM payments_discrepancy d
                  WHERE d.number = r.out_refund_no AND d.subject = 'refund'
                    AND d.kind = 'ours_only' AND d.reconciliation_id <> %(row)s)
ORDER BY r.out_refund_no
"""
_SEEN_ELSEWHERE = """
UPDATE payments_discrepancy d
SET state = 'repaired', repair = %(note)s, resolved_at = %(at)s
FROM payments_reconciliation c, payments_billrow b
WHERE c.id = d.reconciliation_id AND c.channel = %(channel)s AND c.id <> %(row)s
  AND d.state = 'open' AND d.kind = 'ours_only' AND d.subject IN ('payment', 'refund')
  AND b.reconciliation_id = %(row)s AND b.kind = d.subject AND b.number = d.number
"""


def differences(row: Reconciliation) -> list[Found]:
    """Payments and refunds in which the stored bill and our books differ now."""
    values = _values(row)
    found = [
        bill_rules.difference(
            subject=subject,
            number=number,
            theirs_fen=theirs_fen,
            theirs_status=theirs_status,
            ours_fen=ours_fen,
            ours_status=ours_status,
        )
        for subject, query in ((PAYMENT, _PAYMENTS), (REFUND, _REFUNDS))
        for number, theirs_fen, theirs_status, ours_fen, ours_status in _rows(query, values)
    ]
    ours = [
        Found(PAYMENT, number, OURS_ONLY, fen, ours_status=status)
        for number, fen, status in _rows(_OUR_PAYMENTS, values)
    ]
    return [*filter(None, found), *ours, *_our_refunds(row, values)]


def _our_refunds(row: Reconciliation, values: dict[str, Any]) -> list[Found]:
    """Succeeded refunds that none of the bills names in which they may stand.

    While one of those bills is still to come, nothing is said of them.
    """
    found = []
    for number, fen, status, asked_at, success_at in _rows(_OUR_REFUNDS, values):
        days = bill_rules.days_between(min(asked_at, success_at), success_at)
        others = days - {row.date}
        if row.date in days and stored_days(row.channel, others) == others:
            found.append(Found(REFUND, number, OURS_ONLY, fen, ours_status=status))
    return found


def _values(row: Reconciliation) -> dict[str, Any]:
    start, end = day_bounds(row.date)
    return {
        "row": row.pk,
        "channel": row.channel,
        "channels": list(CHANNELS[row.channel]),
        "start": start,
        "end": end,
    }


def _rows(query: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


@transaction.atomic
def bill_match(*, reconciliation_id: int) -> Reconciliation:
    """Every difference between the stored bill and our books is listed; repair comes next.

    Holds the day's row; one that is not at this step stays as it is.
    """
    row = reconciliation_locked(reconciliation_id)
    if row.status != Reconciliation.Status.FETCHED:
        return row
    _settle(row, differences(row), subjects=(PAYMENT, REFUND))
    # Each open one is tried once more in this run.
    Discrepancy.objects.filter(
        reconciliation=row, state=Discrepancy.State.OPEN, subject__in=(PAYMENT, REFUND)
    ).exclude(repair="").update(repair="")
    row.status = Reconciliation.Status.MATCHED
    row.save(update_fields=["status"])
    return row


@transaction.atomic
def reconciliation_finish(*, reconciliation_id: int) -> Reconciliation:
    """The day is done: what still differs is open, everything else repaired or a person's word.

    Holds the day's row; one that is not at this step stays as it is.
    """
    row = reconciliation_locked(reconciliation_id)
    if row.status != Reconciliation.Status.MATCHED:
        return row
    found = differences(row)
    differing = {(each.subject, each.number) for each in found}
    funds = [each for each in fund_differences(row) if not _explained(each, differing)]
    _settle(row, [*found, *funds], subjects=(PAYMENT, REFUND, FUND))
    with connection.cursor() as cursor:
        note = _("账单 %(date)s 中有这一笔") % {"date": row.date}
        cursor.execute(_SEEN_ELSEWHERE, {**_values(row), "note": note, "at": clock.now()})
    stored = BillRow.objects.filter(reconciliation=row).exclude(kind=FUND)
    row.rows = stored.count()
    row.matched = row.rows - sum(1 for each in found if each.kind != OURS_ONLY)
    row.status = Reconciliation.Status.DONE
    row.next_try_at = None
    row.tries = 0
    row.last_error = ""
    row.done_at = clock.now()
    row.save(
        update_fields=["rows", "matched", "status", "next_try_at", "tries", "last_error", "done_at"]
    )
    return row


def _explained(fund: Found, differing: Collection[tuple[str, str]]) -> bool:
    """A movement whose payment or refund is listed already needs no second line."""
    return (PAYMENT, fund.number) in differing or (REFUND, fund.number) in differing


def _settle(row: Reconciliation, found: Sequence[Found], *, subjects: Collection[str]) -> None:
    """The day's list says what differs now; what does so no longer is repaired.

    A person's word stays. What was repaired and differs again is open again.
    """
    at = clock.now()
    known = {
        (each.subject, each.number, each.kind): each
        for each in Discrepancy.objects.filter(reconciliation=row, subject__in=subjects)
    }
    wanted = {each.key: each for each in found}
    Discrepancy.objects.bulk_create(
        [_new(row, each) for key, each in wanted.items() if key not in known], batch_size=1000
    )
    changed = []
    for key, old in known.items():
        now = wanted.get(key)
        if now is None and old.state == Discrepancy.State.OPEN:
            old.state = Discrepancy.State.REPAIRED
            old.repair = old.repair or _("已与账单相符")
            old.resolved_at = at
            changed.append(old)
        elif now is not None and _says_otherwise(old, now):
            _update(old, now)
            changed.append(old)
    Discrepancy.objects.bulk_update(
        changed,
        [
            *("ours_fen", "theirs_fen", "ours_status", "theirs_status"),
            *("state", "repair", "resolved_at"),
        ],
        batch_size=500,
    )


def _new(row: Reconciliation, found: Found) -> Discrepancy:
    return Discrepancy(
        reconciliation=row,
        subject=found.subject,
        number=found.number,
        kind=found.kind,
        ours_fen=found.ours_fen,
        theirs_fen=found.theirs_fen,
        ours_status=found.ours_status,
        theirs_status=found.theirs_status[:20],
    )


def _facts(row: Discrepancy | Found) -> tuple[object, ...]:
    return (row.ours_fen, row.theirs_fen, row.ours_status, row.theirs_status[:20])


def _says_otherwise(old: Discrepancy, now: Found) -> bool:
    if old.state == Discrepancy.State.CLOSED:
        return False
    return old.state == Discrepancy.State.REPAIRED or _facts(old) != _facts(now)


def _update(old: Discrepancy, now: Found) -> None:
    old.ours_fen, old.theirs_fen = now.ours_fen, now.theirs_fen
    old.ours_status, old.theirs_status = now.ours_status, now.theirs_status[:20]
    if old.state == Discrepancy.State.REPAIRED:
        old.state, old.repair, old.resolved_at = Discrepancy.State.OPEN, "", None
