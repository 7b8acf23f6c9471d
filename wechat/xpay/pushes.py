"""Pushes of virtual payment and the answers to them (B4).

A push is a reason to ask, not a proof: a plain body is not covered by its signature, so money is
believed from `query_order`. Field names are read without regard to case, from JSON and XML.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any
from xml.sax.saxutils import escape

import orjson
from django.utils.translation import gettext_lazy as _

from kernel.errors import InvalidInput
from wechat.push import APPLE_QUESTION, Push, sealed_as
from wechat.xpay.results import member, moment, number, text

_DELIVER = "xpay_goods_deliver_notify"
_REFUND = "xpay_refund_notify"
_MAX_SAID = 128


class Provided(IntEnum):
    """What the platform knows of the delivery when Apple asks."""

    NO = 0
    YES = 1
    UNDER_WAY = 2


@dataclass(frozen=True)
class VirtualDeliver:
    """A paid order that waits for its goods.

    `openid` is the buyer's in the mini-program. The numbers of WeChat Pay are "" for money that
    came another way. Prices are the platform's words for "original" and "actually paid".
    """

    out_trade_no: str
    openid: str
    env: int
    mch_order_no: str
    transaction_id: str
    paid_at: datetime | None
    product_id: str
    quantity: int
    orig_price_fen: int
    actual_price_fen: int
    attach: str


@dataclass(frozen=True)
class VirtualRefundNotice:
    """A refund's end. `out_refund_no` is "" when we did not ask for it: Apple, or the console."""

    openid: str
    out_trade_no: str
    wx_order_id: str
    out_refund_no: str
    wx_refund_id: str
    wxpay_refund_id: str
    refund_fen: int
    succeeded: bool
    said: str
    started_at: datetime | None
    succeeded_at: datetime | None


@dataclass(frozen=True)
class AppleQuestion:
    """Apple asks whether to give a buyer's money back: three times, three seconds each."""

    pay_order_id: str
    channel_bill: str
    bundle_id: str
    product_id: str
    quantity: int
    reason: str
    provided: Provided
    asked_at: datetime | None
    ordered_at: datetime | None


def is_xpay(push: Push) -> bool:
    """Whether `push` is about virtual payment."""
    return push.account == "mp" and push.event.lower().startswith("xpay_")


def is_apple_question(push: Push) -> bool:
    """Whether `answer_apple` answers it, and no other answer."""
    return push.account == "mp" and push.event.lower() == APPLE_QUESTION


def parse_deliver(push: Push) -> VirtualDeliver:
    """The payment in a `xpay_goods_deliver_notify`. Raises `InvalidInput` for anything else."""
    fields = _fields_of(push, _DELIVER)
    pay, goods = _part(fields, "wechatpayinfo"), _part(fields, "goodsinfo")
    return VirtualDeliver(
        out_trade_no=_required(fields, "outtradeno"),
        openid=_required(fields, "openid"),
        env=_amount(fields, "env"),
        mch_order_no=text(pay, "mchorderno"),
        transaction_id=text(pay, "transactionid"),
        paid_at=moment(pay, "paidtime"),
        product_id=_required(goods, "productid"),
        quantity=_amount(goods, "quantity"),
        orig_price_fen=_amount(goods, "origprice"),
        actual_price_fen=_amount(goods, "actualprice"),
        attach=text(goods, "attach", longest=2048),
    )


def parse_refund_notify(push: Push) -> VirtualRefundNotice:
    """The end of a refund in a `xpay_refund_notify`. Raises `InvalidInput` for anything else."""
    fields = _fields_of(push, _REFUND)
    result = text(fields, "retcode")
    if not result.removeprefix("-").isdigit():
        raise InvalidInput(_("消息缺少必要字段。"))
    return VirtualRefundNotice(
        openid=_required(fields, "openid"),
        out_trade_no=_required(fields, "mchorderid"),
        wx_order_id=text(fields, "wxorderid"),
        out_refund_no=text(fields, "mchrefundid"),
        wx_refund_id=text(fields, "wxrefundid"),
        wxpay_refund_id=text(fields, "wxpayrefundtransactionid"),
        refund_fen=_amount(fields, "refundfee"),
        succeeded=int(result) == 0,
        said=text(fields, "retmsg"),
        started_at=moment(fields, "refundstarttimestamp"),
        succeeded_at=moment(fields, "refundsucctimestamp"),
    )


def parse_apple_question(push: Push) -> AppleQuestion:
    """Apple's question. Raises `InvalidInput` for anything else."""
    fields = _fields_of(push, APPLE_QUESTION)
    return AppleQuestion(
        pay_order_id=_required(fields, "pay_order_id"),
        channel_bill=text(fields, "channel_bill"),
        bundle_id=text(fields, "bundleid"),
        product_id=text(fields, "product_id"),
        quantity=number(fields, "p_count") or 0,
        reason=text(fields, "refund_request_reason"),
        provided=member(Provided, number(fields, "provide_status")),
        asked_at=moment(fields, "refund_time"),
        ordered_at=moment(fields, "order_time"),
    )


def answer_ok(push: Push) -> bytes:
    """Taken: the platform sends it no more, and counts a delivery as made. In clear (B4)."""
    return _answer(push, {"ErrCode": 0, "ErrMsg": "success"}).encode()


def answer_retry(push: Push, message: str) -> bytes:
    """Not taken: the platform sends it again. `message` is for its logs. In clear (B4)."""
    return _answer(push, {"ErrCode": 1, "ErrMsg": message[:_MAX_SAID]}).encode()


def answer_apple(push: Push, *, agree: bool, info: str, evidence: str) -> bytes:
    """What we advise Apple; Apple decides. In an envelope when the question came in one."""
    code = 0 if agree else 1
    said = _answer(push, {"result_code": code, "result_info": info, "evidence": evidence})
    return sealed_as(push, said)


def _answer(push: Push, said: Mapping[str, str | int]) -> str:
    """JSON or XML as the push was."""
    if push.form == "json":
        return orjson.dumps(said).decode()
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in said.items())
    return f"<xml>{inner}</xml>"


def _fields_of(push: Push, event: str) -> dict[str, Any]:
    if push.account != "mp" or push.event.lower() != event:
        raise InvalidInput(_("消息字段格式不正确。"))
    return _small(push.fields)


def _small(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields with names in lower case. One name with two values is refused."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if found.setdefault(name.lower(), value) != value:
            raise InvalidInput(_("消息字段格式不正确。"))
    return found


def _part(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name) or {}
    if not isinstance(value, Mapping):
        raise InvalidInput(_("消息字段格式不正确。"))
    return _small(value)


def _required(fields: Mapping[str, Any], name: str) -> str:
    value = text(fields, name, longest=128)
    if not value:
        raise InvalidInput(_("消息缺少必要字段。"))
    return value


def _amount(fields: Mapping[str, Any], name: str) -> int:
    value = number(fields, name)
    if value is None:
        raise InvalidInput(_("消息缺少必要字段。"))
    return value
