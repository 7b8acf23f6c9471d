"""What every channel can do. All methods but `params` talk to the platform: no transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from payments.rules import PaidFacts, RefundFacts


@dataclass(frozen=True)
class Prepare:
    """An attempt to pay, before the platform knows of it."""

    out_trade_no: str
    description: str
    amount_fen: int
    payer_openid: str
    expires_at: datetime
    client_ip: str = ""


@dataclass(frozen=True)
class RefundOrder:
    """A refund that the platform is asked for. The same number is always the same refund."""

    out_refund_no: str
    out_trade_no: str
    amount_fen: int
    total_fen: int
    reason: str


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


class PayChannel(Protocol):
    """One way to pay. Errors are those of `wechat.errors`, split by what may be done next."""

    def prepare(self, order: Prepare) -> dict[str, Any]:
        """Make the platform know the number; returns what `params` needs later."""
        ...

    def params(self, prepared: Mapping[str, Any]) -> dict[str, Any]:
        """What the client hands to WeChat, signed now. No network."""
        ...

    def query(self, out_trade_no: str) -> Trade:
        """The attempt as the platform sees it. Raises `FactsDiffer` for another merchant's."""
        ...

    def close(self, out_trade_no: str) -> bool:
        """True: nobody can pay this number any more. False: it is paid already, query it."""
        ...

    def refund(self, order: RefundOrder) -> RefundFacts:
        """Ask for the money to go back."""
        ...

    def refund_find(self, out_refund_no: str) -> RefundFacts | None:
        """The refund as the platform sees it; None when it knows no such number."""
        ...
