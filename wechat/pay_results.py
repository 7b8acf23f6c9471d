"""Answers and notices of WeChat Pay v3 as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kernel.errors import InvalidInput


@dataclass(frozen=True)
class PayResult:
    """A transaction as the platform sees it (`wechat.md` D3). Nothing is checked against ours.

    `amount_fen` is the order's total; `payer_total_fen` is what the payer gave of it after the
    platform's coupons. Both are None where the platform leaves them out, as for an unpaid order.
    `trade_type`: JSAPI, NATIVE, MWEB (H5), APP, …; "" for an unpaid order.
    """

    out_trade_no: str
    transaction_id: str
    trade_state: str
    trade_type: str
    amount_fen: int | None
    payer_total_fen: int | None
    payer_openid: str
    success_at: datetime | None
    appid: str
    mchid: str
    currency: str

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "PayResult":
        """From a query's answer or a notice's resource. Raises `InvalidInput`."""
        amount, payer = _part(data, "amount"), _part(data, "payer")
        return cls(
            out_trade_no=_text(data, "out_trade_no"),
            transaction_id=_text(data, "transaction_id"),
            trade_state=_text(data, "trade_state"),
            trade_type=_text(data, "trade_type"),
            amount_fen=_fen(amount, "total"),
            payer_total_fen=_fen(amount, "payer_total"),
            payer_openid=_text(payer, "openid"),
            success_at=moment(_text(data, "success_time")),
            appid=_text(data, "appid"),
            mchid=_text(data, "mchid"),
            currency=_text(amount, "currency"),
        )


@dataclass(frozen=True)
class RefundResult:
    """A refund as the platform sees it (`wechat.md` D5): PROCESSING, SUCCESS, CLOSED, ABNORMAL."""

    refund_id: str
    out_refund_no: str
    transaction_id: str
    out_trade_no: str
    status: str
    refund_fen: int | None
    total_fen: int | None
    success_at: datetime | None
    received_account: str
    mchid: str

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "RefundResult":
        """From an answer (`status`) or a notice's resource (`refund_status`)."""
        amount = _part(data, "amount")
        return cls(
            refund_id=_text(data, "refund_id"),
            out_refund_no=_text(data, "out_refund_no"),
            transaction_id=_text(data, "transaction_id"),
            out_trade_no=_text(data, "out_trade_no"),
            status=_text(data, "status") or _text(data, "refund_status"),
            refund_fen=_fen(amount, "refund"),
            total_fen=_fen(amount, "total"),
            success_at=moment(_text(data, "success_time")),
            received_account=_text(data, "user_received_account"),
            mchid=_text(data, "mchid"),
        )


@dataclass(frozen=True)
class Notify:
    """A verified, decrypted notice. `id` stays the same over the platform's repeats."""

    id: str
    event_type: str
    created_at: datetime | None
    resource: dict[str, Any]
    raw_body: bytes


def moment(text: str) -> datetime | None:
    """RFC 3339 → aware time; None for "". Raises `InvalidInput`."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput from error
    if at.tzinfo is None:
        raise InvalidInput
    return at


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name) or {}
    if not isinstance(value, Mapping):
        raise InvalidInput
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 512:
        raise InvalidInput
    return value


def _fen(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidInput
    return value
