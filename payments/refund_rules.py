"""What a refund may be and what it moves: arithmetic without a database. Integer fen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from kernel.money import BASIS, floor_bp, largest_remainder
from payments.errors import RefundExceedsPaid, RefundNotInPolicy

# D5: later the platform sends no money back to where it came from.
PLATFORM_WINDOW = timedelta(days=365)
# D5: at least a minute between partial refunds of one payment.
SPACING = timedelta(seconds=61)


@dataclass(frozen=True)
class Policy:
    """In full within `full_days` of payment and under `full_below_bp` used; afterwards the
    unused part until `tail_days` after payment, or nothing (`tail_days` 0)."""

    full_days: int = 7
    full_below_bp: int = 3000
    tail_days: int = 0


# `contract.md` 7
DEFAULT_POLICY = Policy()


@dataclass(frozen=True)
class Allowance:
    """The share of a line that may have gone back in all, and why."""

    share_bp: int
    why: str


def allowance(policy: Policy, *, age: timedelta, used_bp: int) -> Allowance:
    """What a learner may have back of a line paid `age` ago and used by `used_bp`."""
    said = {
        "days": policy.full_days,
        "tail": policy.tail_days,
        "limit": percent(policy.full_below_bp),
        "used": percent(used_bp),
    }
    in_time = age <= timedelta(days=policy.full_days)
    if in_time and used_bp < policy.full_below_bp:
        text = _("付款后 %(days)s 天内且已学不足 %(limit)s%%，可全额退款（已学 %(used)s%%）。")
        return Allowance(BASIS, text % said)
    if policy.tail_days and age <= timedelta(days=policy.tail_days) and used_bp < BASIS:
        text = _("付款后 %(tail)s 天内可退未学部分（已学 %(used)s%%）。")
        return Allowance(BASIS - used_bp, text % said)
    if in_time:
        text = _("已学 %(used)s%%，达到 %(limit)s%% 后不再退款。")
        return Allowance(0, text % said)
    days = max(policy.full_days, policy.tail_days)
    text = _("付款已超过 %(days)s 天，不再退款。")
    return Allowance(0, text % {**said, "days": days})


def percent(basis_points: int) -> str:
    """For people: 3000 → "30", 1250 → "12.5"."""
    return f"{basis_points // 100}.{basis_points % 100:02d}".rstrip("0").rstrip(".")


def elapsed_bp(start: datetime, end: datetime | None, at: datetime) -> int:
    """The share of a period that is over, rounded down; 0 before it begins and without end."""
    if end is None or at <= start:
        return 0
    return min(BASIS, (at - start) * BASIS // (end - start))


def allowed_fen(*, payable_fen: int, gone_fen: int, share_bp: int) -> int:
    """What may still go back of a line of which `gone_fen` is back or on its way."""
    return max(0, floor_bp(payable_fen, share_bp) - gone_fen)


@dataclass(frozen=True)
class Room:
    """One line's room: what is paid and still here, and what the asker may have of that."""

    line_no: int
    left_fen: int
    allowed_fen: int


def parts_asked(rooms: Sequence[Room], asked: Mapping[int, int]) -> dict[int, int]:
    """`asked` (line_no → fen, known lines alone) when there is room for all of it.

    Raises `RefundExceedsPaid`, `RefundNotInPolicy`.
    """
    by_no = {room.line_no: room for room in rooms}
    for line_no, fen in asked.items():
        if fen > by_no[line_no].left_fen:
            raise RefundExceedsPaid(left_fen=by_no[line_no].left_fen, line_no=line_no)
    for line_no, fen in asked.items():
        if fen > by_no[line_no].allowed_fen:
            raise RefundNotInPolicy(allowed_fen=by_no[line_no].allowed_fen, line_no=line_no)
    return dict(asked)


def parts_spread(rooms: Sequence[Room], fen: int) -> dict[int, int]:
    """`fen` over the lines by largest remainder, weighted by what each may still give.

    No part exceeds its line's room. Raises `RefundExceedsPaid`, `RefundNotInPolicy`.
    """
    left = sum(room.left_fen for room in rooms)
    if fen > left:
        raise RefundExceedsPaid(left_fen=left)
    allowed = sum(room.allowed_fen for room in rooms)
    if fen > allowed:
        raise RefundNotInPolicy(allowed_fen=allowed)
    shares = largest_remainder(fen, [room.allowed_fen for room in rooms])
    return {room.line_no: part for room, part in zip(rooms, shares, strict=True) if part}


def parts_all(rooms: Sequence[Room]) -> dict[int, int]:
    """All that each line may give."""
    return {room.line_no: room.allowed_fen for room in rooms if room.allowed_fen}


def share_of(whole: int, *, before_fen: int, now_fen: int, of_fen: int) -> int:
    """The part of `whole` that goes with `now_fen` of `of_fen`, after `before_fen` went.

    A difference of cumulative floors: the parts of all refunds add up to `whole` exactly.
    """
    if of_fen <= 0:
        return 0
    return whole * (before_fen + now_fen) // of_fen - whole * before_fen // of_fen


def pieces_exact(pieces: Sequence[int], fen: int) -> list[int] | None:
    """Places of pieces worth exactly `fen` together, None where no choice of them is.

    Equal pieces of a split price differ by a fen at most, so the sums to look at are few.
    """
    ways: dict[int, list[int]] = {0: []}
    for place, worth in enumerate(pieces):
        for total, chosen in list(ways.items()):
            if total + worth <= fen:
                ways.setdefault(total + worth, [*chosen, place])
    return ways.get(fen)


def pieces_within(pieces: Sequence[int], fen: int) -> list[int]:
    """Places of pieces, first come first taken, worth no more than `fen` together."""
    chosen, left = [], fen
    for place, worth in enumerate(pieces):
        if worth <= left:
            chosen.append(place)
            left -= worth
    return chosen
