"""Storing a bill: its lines streamed into the database and merged with what is there."""

from collections.abc import Iterable

from django.db import connection, transaction

from payments.bill_rules import FUND, BillLine
from payments.locks import reconciliation_locked
from payments.models import BillRow, Reconciliation

_INCOMING = """
CREATE TEMPORARY TABLE bill_incoming (
    kind text, number text, trade_no text, platform_no text, amount_fen bigint, fee_fen bigint,
    status text, at timestamptz
) ON COMMIT DROP
"""
_COPY = """
COPY bill_incoming (kind, number, trade_no, platform_no, amount_fen, fee_fen, status, at)
FROM STDIN
"""
# A number that a bill names twice is one row with the sum: the amount will not agree then.
_MERGED = """
CREATE TEMPORARY TABLE bill_merged ON COMMIT DROP AS
SELECT kind, number, min(trade_no) AS trade_no, min(platform_no) AS platform_no,
       sum(amount_fen)::bigint AS amount_fen, sum(fee_fen)::bigint AS fee_fen,
       min(status) AS status, min(at) AS at
FROM bill_incoming GROUP BY kind, number
"""
_FORGET = """
DELETE FROM payments_billrow b WHERE b.reconciliation_id = %s AND NOT EXISTS (
    SELECT 1 FROM bill_merged m WHERE m.kind = b.kind AND m.number = b.number)
"""
_STORE = """
INSERT INTO payments_billrow
    (reconciliation_id, kind, number, trade_no, platform_no, amount_fen, fee_fen, status, at)
SELECT %s, kind, number, trade_no, platform_no, amount_fen, fee_fen, status, at FROM bill_merged
ON CONFLICT (reconciliation_id, kind, number) DO UPDATE
SET trade_no = EXCLUDED.trade_no, platform_no = EXCLUDED.platform_no,
    amount_fen = EXCLUDED.amount_fen, fee_fen = EXCLUDED.fee_fen,
    status = EXCLUDED.status, at = EXCLUDED.at
WHERE (payments_billrow.trade_no, payments_billrow.platform_no, payments_billrow.amount_fen,
       payments_billrow.fee_fen, payments_billrow.status, payments_billrow.at)
      IS DISTINCT FROM (EXCLUDED.trade_no, EXCLUDED.platform_no, EXCLUDED.amount_fen,
                        EXCLUDED.fee_fen, EXCLUDED.status, EXCLUDED.at)
"""


@transaction.atomic
def bill_store(*, reconciliation_id: int, lines: Iterable[BillLine]) -> Reconciliation:
    """The day's rows are exactly these lines; the next step is to match them.

    `lines` may be of any length: they are streamed, never held. Rows that say what they said
    before keep their ids. Holds the day's row; one that is past this step stays as it is.
    """
    row = reconciliation_locked(reconciliation_id)
    if row.status != Reconciliation.Status.DUE:
        return row
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.bill_incoming, pg_temp.bill_merged")
        cursor.execute(_INCOMING)
        with cursor.copy(_COPY) as copy:
            for line in lines:
                copy.write_row(_values(line))
        cursor.execute(_MERGED)
        cursor.execute("CREATE INDEX ON bill_merged (kind, number)")
        cursor.execute("ANALYZE bill_merged")
        cursor.execute(_FORGET, [row.pk])
        cursor.execute(_STORE, [row.pk])
    row.rows = BillRow.objects.filter(reconciliation=row).exclude(kind=FUND).count()
    row.status = Reconciliation.Status.FETCHED
    row.tries = 0
    row.last_error = ""
    row.save(update_fields=["rows", "status", "tries", "last_error"])
    return row


def _values(line: BillLine) -> tuple[object, ...]:
    return (
        line.kind,
        line.number[:64],
        line.trade_no[:64],
        line.platform_no[:64],
        line.amount_fen,
        line.fee_fen,
        line.status[:20],
        line.at,
    )
