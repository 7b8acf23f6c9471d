"""Posting the platform's fees: one statement for any number of them."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from kernel import clock


class Fee(NamedTuple):
    ref: str  # out_trade_no or out_refund_no
    channel: str
    fee_fen: int  # negative where the platform gave it back


_POST_FEES = """
WITH fees AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS fee(ref, channel, fen)
), made AS (
    INSERT INTO payments_journal (kind, ref, memo, posted_at)
    SELECT 'fee', ref, '', %s FROM fees WHERE fen <> 0
    ON CONFLICT (kind, ref) DO NOTHING RETURNING id, ref
)
INSERT INTO payments_entry (journal_id, account, amount_fen)
SELECT made.id, 'fee:' || fees.channel, fees.fen FROM made JOIN fees USING (ref)
UNION ALL SELECT made.id, 'cash:' || fees.channel, -fees.fen FROM made JOIN fees USING (ref)
"""


def post_fees(fees: Sequence[Fee]) -> int:
    """The platform's fees, one journal for each number; those booked before stay as they are.

    Returns how many were booked now. One statement for any number of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _POST_FEES,
            [
                [fee.ref for fee in fees],
                [fee.channel for fee in fees],
                [fee.fee_fen for fee in fees],
                clock.now(),
            ],
        )
        return int(cursor.rowcount) // 2
