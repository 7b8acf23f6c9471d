"""What bills are made of: the day's entries, the differences that tests plant, the files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Entry:
    """One fact as a bill will show it, fixed at the moment the bill is made. Amounts are fen.

    kind: payment; refund (at its acceptance); returned (a refund that was closed); flow (money
    that moved for another reason, known to the fund flow bill alone).
    """

    kind: str
    at: float
    appid: str = ""
    out_trade_no: str = ""
    transaction_id: str = ""
    openid: str = ""
    trade_type: str = ""
    description: str = ""
    attach: str = ""
    total: int = 0
    settlement: int = 0
    voucher: int = 0
    status: str = "SUCCESS"  # 交易状态 of a payment, 退款状态 of a refund
    refund_id: str = ""
    out_refund_no: str = ""
    refund: int = 0
    refund_settlement: int = 0
    voucher_refund: int = 0
    success_at: float = 0.0
    applicant: str = "system"
    account: str = "BASIC"
    name: str = ""
    income: bool = True

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers that mean this entry and no other: a refund is not meant by its order's."""
        if self.kind in {"refund", "returned"}:
            return (self.out_refund_no, self.refund_id)
        return (self.out_trade_no, self.transaction_id)

    def with_amount(self, fen: int) -> Entry:
        if self.kind in {"refund", "returned"}:
            return replace(self, refund=fen, refund_settlement=fen, voucher_refund=0)
        return replace(self, total=fen, settlement=fen, voucher=0)


@dataclass
class Planted:
    """Differences between what happened and what a bill says."""

    drop: set[str] = field(default_factory=set)
    extra: list[Entry] = field(default_factory=list)
    amounts: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)

    def applied(self, entries: tuple[Entry, ...]) -> list[Entry]:
        """The entries with every difference in them, by time."""
        kept = [self._changed(e) for e in entries if self.drop.isdisjoint(e.numbers)]
        return sorted([*kept, *self.extra], key=lambda entry: entry.at)

    def _changed(self, entry: Entry) -> Entry:
        for number in entry.numbers:
            if number in self.amounts:
                entry = entry.with_amount(self.amounts[number])
            if number in self.statuses:
                entry = replace(entry, status=self.statuses[number])
        return entry


@dataclass(frozen=True)
class Frozen:
    """A day's entries as they stood when the bill was made."""

    entries: tuple[Entry, ...]
    opening: int  # the account's balance before the day, fen
    made_at: float


@dataclass
class Bill:
    """One day: made once and then frozen; planted differences can still be changed."""

    frozen: Frozen | None = None
    planted: dict[str, Planted] = field(
        default_factory=lambda: {"trade": Planted(), "fundflow": Planted()}
    )
    files: dict[tuple[object, ...], bytes] = field(default_factory=dict)  # written before


@dataclass
class Ticket:
    """What a download_url gives, and until when."""

    content: bytes  # before compression
    gzip: bool
    until: float
