"""What every channel can do. All methods but `params` talk to the platform: no transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from payments.rules import PaidFacts, RefundFacts


@dataclass(frozen=True)
class Prepare:
    """An attempt to pay, before the platform knows of it.

    Everything here stays the same when it is asked for again: the platform refuses other words
    under a number that it knows.
    """

    out_trade_no: str
    description: str
    amount_fen: int
    payer_openid: str
    expires_at: datetime
    client_ip: str = ""
    item_id: str = ""  # the published item, for channels that sell items
    item_fen: int = 0  # and its published price, which may be above the amount


@dataclass(frozen=True)
class RefundOrder:
    """A refund that the platform is asked for. The same number is always the same refund."""

    out_refund_no: str
    out_trade_no: str
    amount_fen: int
    total_fen: int
    reason: str


@dataclass(frozen=True)
class Delivery:
    """A paid thing that has been handed over: its rights are granted."""

    out_trade_no: str
    transaction_id: str
    payer_openid: str
    title: str
    at: datetime


class TradeState(StrEnum):
    """What the platform says about an attempt, as far as we act on it."""

    PAID = "paid"
    WAITING = "waiting"
    CLOSED = "closed"
    UNKNOWN = "unknown"  # the platform never heard of the number


@dataclass(frozen=True)
class Trade:
    state: TradeState
    facts: PaidFacts | None = None  # with state PAID alone


@dataclass(frozen=True)
class Traits:
    """How a channel differs from the others, for those who use all of them alike."""

    # The payer must be known beforehand; otherwise whoever pays is learnt with the money.
    asks_payer: bool
    # How long the platform honours what `prepare` gave.
    good_for: timedelta
    # Sells published items of one price each, and signs with the buyer's session (`wechat.md` B).
    sells_items: bool = False
    # False where nobody can take a number back: late money has to be looked for.
    closes: bool = True


class PayChannel(Protocol):
    """One way to pay. Errors are those of `wechat.errors`, split by what may be done next."""

    @property
    def traits(self) -> Traits: ...

    def prepare(self, order: Prepare) -> dict[str, Any]:
        """Make the platform know the number; returns what `params` needs later."""
        ...

    def params(self, prepared: Mapping[str, Any], *, session_key: str = "") -> dict[str, Any]:
        """What the client hands to WeChat, signed now. No network."""
        ...

    def query(self, out_trade_no: str) -> Trade:
        """The attempt as the platform sees it. Raises `FactsDiffer` for another merchant's."""
        ...

    def close(self, out_trade_no: str) -> bool:
        """True: nobody can pay this number any more. False: it is paid already, query it.

        A channel that can't close says True for a number that is not paid; see `Traits.closes`.
        """
        ...

    def refund(self, order: RefundOrder) -> RefundFacts:
        """Ask for the money to go back. Raises `RefundNotByMerchant` where only others can."""
        ...

    def refund_find(self, out_refund_no: str) -> RefundFacts | None:
        """The refund as the platform sees it; None when it knows no such number."""
        ...

    def report_delivery(self, delivery: Delivery) -> bool:
        """Tell the platform that the goods are handed over. False: it can't hear that yet."""
        ...
