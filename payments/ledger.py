"""Posting journals. Called inside the transaction of the fact that is booked."""

from collections.abc import Mapping, Sequence
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
CREATOR_SHARE = "creator_share"
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


def creator_payable(payee: str) -> str:
    """The account of what is owed to one creator."""
    return f"creator_payable:{payee}"


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


def post_refund(
    *, ref: str, channel: str, amount_fen: int, discount_fen: int, points_value_fen: int
) -> Journal:
    """Money of a sale has gone back, and with it its part of discounts and points."""
    return post(
        kind="refund",
        ref=ref,
        sides=[
            Side(REVENUE, amount_fen + discount_fen + points_value_fen),
            Side(cash(channel), -amount_fen),
            Side(DISCOUNTS, -discount_fen),
            Side(POINTS_LIABILITY, -points_value_fen),
        ],
    )


def post_share(*, ref: str, by_payee: Mapping[str, int]) -> Journal:
    """Creators have earned their shares of an order."""
    owed = [Side(creator_payable(payee), -fen) for payee, fen in sorted(by_payee.items())]
    return post(kind="share", ref=ref, sides=[Side(CREATOR_SHARE, sum(by_payee.values())), *owed])


def post_share_back(*, ref: str, by_payee: Mapping[str, int]) -> Journal:
    """A refund takes its part of the creators' shares back, also from who was paid out already."""
    owed = [Side(creator_payable(payee), fen) for payee, fen in sorted(by_payee.items())]
    return post(
        kind="share_back", ref=ref, sides=[*owed, Side(CREATOR_SHARE, -sum(by_payee.values()))]
    )
