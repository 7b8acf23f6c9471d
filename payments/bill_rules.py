"""Comparing a bill's line with our row, without a database. All amounts are integer fen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kernel import clock

PAYMENT = "payment"
REFUND = "refund"
FUND = "fund"

OURS_ONLY = "ours_only"
THEIRS_ONLY = "theirs_only"
AMOUNT = "amount"
STATUS = "status"

# What a refund of ours may be by now, when the bill froze it in that state (`wechat.md` D7).
_GROWN: Mapping[str, frozenset[str]] = {
    "SUCCESS": frozenset({"succeeded"}),
    "PROCESSING": frozenset({"requested", "processing", "abnormal", "closed", "succeeded"}),
    "ABNORMAL": frozenset({"abnormal", "closed", "succeeded"}),
    "CLOSED": frozenset({"closed"}),
}
# Words of older bills for the same states.
_SAME = {"FAIL": "ABNORMAL", "CHANGE": "ABNORMAL", "REFUNDCLOSE": "CLOSED"}


@dataclass(frozen=True)
class BillLine:
    """One line of a bill as it is stored. Fund lines: `trade_no` is the business's number."""

    kind: str  # payment | refund | fund
    number: str
    amount_fen: int
    trade_no: str = ""
    platform_no: str = ""
    fee_fen: int = 0
    status: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Found:
    """A difference between a bill and our books."""

    subject: str  # payment | refund | fund
    number: str
    kind: str  # ours_only | theirs_only | amount | status
    ours_fen: int | None = None
    theirs_fen: int | None = None
    ours_status: str = ""
    theirs_status: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.subject, self.number, self.kind)


def bill_state(word: str) -> str:
    """A refund's state in a bill, by the words that the interface uses."""
    return _SAME.get(word, word)


def difference(
    *,
    subject: str,
    number: str,
    theirs_fen: int,
    theirs_status: str,
    ours_fen: int | None,
    ours_status: str,
) -> Found | None:
    """How a bill's line differs from our row of that number; None when they agree.

    `ours_fen` is None where we know no such number. A payment that we hold for unpaid is the
    platform's alone: an attempt is no money. An amount that differs hides a differing state.
    """
    kind = _kind(subject, theirs_fen, theirs_status, ours_fen, ours_status)
    if kind is None:
        return None
    return Found(subject, number, kind, ours_fen, theirs_fen, ours_status, theirs_status)


def _kind(
    subject: str, theirs_fen: int, theirs_status: str, ours_fen: int | None, ours_status: str
) -> str | None:
    if ours_fen is None:
        return THEIRS_ONLY
    if subject == PAYMENT and ours_status != "succeeded":
        return THEIRS_ONLY if theirs_status == "SUCCESS" else None
    if theirs_fen != ours_fen:
        return AMOUNT
    if subject == PAYMENT:
        return None if theirs_status == "SUCCESS" else STATUS
    return None if ours_status in _GROWN.get(bill_state(theirs_status), ()) else STATUS


def days_between(first: datetime, last: datetime) -> set[date]:
    """The days of the shop's calendar from one moment to another, both included."""
    start, end = clock.local_date(first), clock.local_date(last)
    return {start + timedelta(days=n) for n in range((end - start).days + 1)}
