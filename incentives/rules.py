"""Arithmetic of points and coupons. Pure: no clock, no database."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kernel.money import floor_bp

# Points that come back to a lot which expired meanwhile can still be spent for a week.
RETURN_GRACE = timedelta(days=7)
STREAK_DAYS = 7


@dataclass(frozen=True)
class LotRest:
    """What one lot has left."""

    lot_id: int
    points: int


def taken_fifo(lots: Sequence[LotRest], points: int) -> list[LotRest]:
    """How `points` are taken from `lots` in their order. Their rest must be enough."""
    taken = []
    left = points
    for lot in lots:
        if left == 0:
            break
        part = min(lot.points, left)
        if part:
            taken.append(LotRest(lot.lot_id, part))
            left -= part
    if left:
        raise ValueError("the lots hold less than that")
    return taken


def within_caps(
    points: int,
    *,
    earned_today: int,
    earned_ever: int,
    daily_cap: int | None,
    lifetime_cap: int | None,
) -> int:
    """How many of `points` may still be earned under both caps; 0 when a cap is reached."""
    allowed = points
    if daily_cap is not None:
        allowed = min(allowed, daily_cap - earned_today)
    if lifetime_cap is not None:
        allowed = min(allowed, lifetime_cap - earned_ever)
    return max(allowed, 0)


def streak_bonus(streak: int, bonus: int) -> int:
    """The extra points of a check-in: `bonus` on each seventh day in a row."""
    return bonus if streak % STREAK_DAYS == 0 else 0


def points_cap(payable_fen: int, *, cap_bp: int, value_fen: int) -> int:
    """The most points that an order of `payable_fen` takes: a share of what is payable."""
    return floor_bp(payable_fen, cap_bp) // value_fen


def covers(scopes: Collection[str], scope: str) -> bool:
    """Whether a coupon for `scopes` (none = everything, `course:*` = a kind) counts for `scope`."""
    if not scopes:
        return True
    return scope in scopes or f"{scope.partition(':')[0]}:*" in scopes


def clawback_share(points: int, *, before_fen: int, refund_fen: int, payable_fen: int) -> int:
    """Points of a purchase that one refund takes back.

    Shares of one order's refunds add up to `points` when all of `payable_fen` went back.
    """
    if payable_fen <= 0:
        return 0
    after = min(before_fen + refund_fen, payable_fen)
    return points * after // payable_fen - points * min(before_fen, payable_fen) // payable_fen


def returned_expiry(expires_at: datetime, now: datetime) -> datetime:
    """When a lot expires after points have come back to it."""
    return expires_at if expires_at > now else now + RETURN_GRACE
