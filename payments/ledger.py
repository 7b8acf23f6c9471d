"""Posting journals. Called inside the transaction of the fact that is booked."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from kernel import clock
from kernel.errors import InvariantBroken
from kernel.locks import LockRank, note_rank
from payments.models import Entry, Journal

REVENUE = "revenue"
DISCOUNTS = "discounts"
POINTS_LIABILITY = "points_liability"
SUSPENSE = "suspense"
# Prefixes of accounts of one party each, which store their balance.
STORED = ("creator_payable:",)

_ADD = """
INSERT INTO payments_ledgeraccount (code, balance_fen, may_be_negative) VALUES (%s, %s, true)
ON CONFLICT (code) DO UPDATE
SET balance_fen = payments_ledgeraccount.balance_fen + EXCLUDED.balance_fen
"""


class Side(NamedTuple):
    account: str
    amount_fen: int  # debit positive, credit negative


def cash(channel: str) -> str:
    """The account of money that came through a channel."""
    return f"cash:{channel}"


def post(*, kind: str, ref: str, sides: Sequence[Side], memo: str = "") -> Journal:
    """One journal with the sides that are not zero; they add up to 0.

    The database refuses a second one for the same (kind, ref), one that does not balance and
    one with fewer than two entries. Accounts that store a balance are updated in the order of
    their codes.
    """
    moved = [side for side in sides if side.amount_fen]
    if sum(side.amount_fen for side in moved) or len(moved) < 2:
        raise InvariantBroken(f"journal {kind} {ref} does not balance")
    journal = Journal.objects.create(kind=kind, ref=ref, memo=memo, posted_at=clock.now())
    Entry.objects.bulk_create(
        Entry(journal=journal, account=side.account, amount_fen=side.amount_fen) for side in moved
    )
    stored = sorted(side for side in moved if side.account.startswith(STORED))
    if stored:
        note_rank(LockRank.LEDGER_ACCOUNT)
        with connection.cursor() as cursor:
            cursor.executemany(_ADD, stored)
    return journal


def post_sale(
    *,
    kind: str,
    ref: str,
    channel: str,
    paid_fen: int,
    discount_fen: int,
    points_value_fen: int,
    total_fen: int,
) -> Journal:
    """An order's income at list price, and what paid for it: money, discounts, points."""
    return post(
        kind=kind,
        ref=ref,
        sides=[
            Side(cash(channel), paid_fen),
            Side(DISCOUNTS, discount_fen),
            Side(POINTS_LIABILITY, points_value_fen),
            Side(REVENUE, -total_fen),
        ],
    )


def post_stray(*, ref: str, channel: str, amount_fen: int) -> Journal:
    """Money that came for an order which does not take it: held until it goes back."""
    return post(
        kind="payment",
        ref=ref,
        sides=[Side(cash(channel), amount_fen), Side(SUSPENSE, -amount_fen)],
    )


def post_stray_refund(*, ref: str, channel: str, amount_fen: int) -> Journal:
    """Stray money has gone back."""
    return post(
        kind="refund",
        ref=ref,
        sides=[Side(SUSPENSE, amount_fen), Side(cash(channel), -amount_fen)],
    )


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
        return cursor.rowcount // 2
