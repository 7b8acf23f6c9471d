"""Refunds of virtual orders (`wechat.md` B3): started now, decided later, told by a push."""

from __future__ import annotations

import json
import re
from typing import Any

from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import ControlError, Json, PlatformError, Reply, Request, json_reply
from wechat_sandbox.xpay import coins, pushes
from wechat_sandbox.xpay.orders import COIN, known_order, new_number
from wechat_sandbox.xpay.signing import REPEATED, WRONG_FIELD, known_openid, signed_call
from wechat_sandbox.xpay.state import (
    APPLE,
    DELIVERED,
    DELIVERING,
    PAID,
    REFUNDED,
    VirtualOrder,
    VirtualRefund,
)

OUTCOMES = {"success", "fail"}
EVENT = "xpay_refund_notify"
_NUMBER = re.compile(r"[0-9A-Za-z_-]{8,32}")
_META_CHARACTERS = 1024
_YEAR_SECONDS = 365 * 86400
_RUNNING = 268490014
_WRONG_LEFT_FEE = 268490016


def refund_order(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/refund_order. The order reads "refunded" at once, whatever comes later."""
    data = signed_call(sandbox, request)
    with sandbox.lock:
        order = known_order(sandbox, data, known_openid(sandbox, data))
        number = _check(data)
        _check_repeat(sandbox, number, order, data["refund_fee"])
        _check_against_order(sandbox, order, data)
        if order.mode == COIN:
            coins.taken_back(sandbox, order, data["refund_fee"])
        now = sandbox.clock.wire()
        item = VirtualRefund(
            number=number,
            wx_order_id=new_number(now, "XR"),
            order=order,
            arguments=data,
            fee=data["refund_fee"],
            biz_meta=data["biz_meta"],
            created_at=now,
            planned=sandbox.state.xpay.planned_refunds.pop(number, "success"),
            back_to=order.status,
        )
        sandbox.state.xpay.refunds[number] = item
        order.status = REFUNDED
        order.updated_at = now
        if not sandbox.state.settings.xpay_hold_refunds:
            _settle_later(sandbox, item)
    return json_reply(
        {
            "errcode": 0,
            "errmsg": "ok",
            "refund_order_id": number,
            "refund_wx_order_id": item.wx_order_id,
            "pay_order_id": order.out_trade_no,
            "pay_wx_order_id": order.wx_order_id,
        }
    )


def settle(sandbox: Sandbox, item: VirtualRefund, outcome: str) -> pushes.Delivery:
    """Ends a running refund and tells the merchant. A failed one: the order reads as before."""
    with sandbox.lock:
        if item.status != "running":
            raise ControlError(409, "refund_settled", f"{item.number} has ended: {item.status}")
        order = item.order
        item.status = outcome
        item.finished_at = order.updated_at = sandbox.clock.wire()
        if outcome == "success":
            if order.channel != APPLE:
                item.wxpay_order_id = new_number(item.finished_at, "5030")
        else:
            if order.mode == COIN:
                coins.given_again(sandbox, order, item.fee)
            others = sandbox.state.xpay.refunds_of(order)
            refunded = any(other.status == "success" for other in others)
            order.status = REFUNDED if refunded else item.back_to
        event = pushes.new_event(sandbox, EVENT, _fields(item))
    return pushes.publish(sandbox, event, number=order.out_trade_no)


def plan(sandbox: Sandbox, number: str, outcome: str) -> VirtualRefund | None:
    """Remembers the outcome of a refund that was not asked for yet."""
    with sandbox.lock:
        item = sandbox.state.xpay.refunds.get(number)
        if item is None:
            sandbox.state.xpay.planned_refunds[number] = outcome
        return item


def pushed_first(sandbox: Sandbox, reply: Reply) -> None:
    """The refund ends, and its push arrives, before the merchant reads that it was started."""
    number = json.loads(reply.body).get("refund_order_id")
    with sandbox.lock:
        item = sandbox.state.xpay.refunds.get(number)
        running = item is not None and item.status == "running"
        delivery = settle(sandbox, item, item.planned) if item is not None and running else None
    if delivery is not None:
        delivery.first_attempt.wait(10)


def view(item: VirtualRefund) -> Json:
    return {
        "refund_order_id": item.number,
        "refund_wx_order_id": item.wx_order_id,
        "out_trade_no": item.order.out_trade_no,
        "refund_fee": item.fee,
        "status": item.status,
    }


def _settle_later(sandbox: Sandbox, item: VirtualRefund) -> None:
    def job(_: float) -> None:
        with sandbox.lock:
            known = sandbox.state.xpay.refunds.get(item.number) is item
            if known and item.status == "running":
                settle(sandbox, item, item.planned)

    delay = sandbox.state.settings.xpay_refund_delay_seconds
    sandbox.schedule.at(sandbox.clock.now() + delay, job)


def _fields(item: VirtualRefund) -> Json:
    order = item.order
    good = item.status == "success"
    fields: Json = {
        "OpenId": order.openid,
        "WxRefundId": item.wx_order_id,
        "MchRefundId": item.number,
        "WxOrderId": order.wx_order_id,
        "MchOrderId": order.out_trade_no,
        "RefundFee": item.fee,
        "RetCode": 0 if good else 1,
        "RetMsg": "SUCCESS" if good else "REFUND_FAIL",
        "RefundStartTimestamp": int(item.created_at),
        "RefundSuccTimestamp": int(item.finished_at) if good else 0,
        "WxpayRefundTransactionId": item.wxpay_order_id,
        "RetryTimes": 0,
    }
    if order.channel == APPLE:
        fields |= {"Attach": order.attach, "WxTransactionId": order.channel_order_id}
    return fields


def _check(data: Json) -> str:
    """Every field rule; returns the refund's number."""
    number = data.get("refund_order_id")
    if not isinstance(number, str) or not _NUMBER.fullmatch(number):
        raise PlatformError(WRONG_FIELD, "invalid refund_order_id")
    for name in ("left_fee", "refund_fee"):
        if not _whole(data.get(name)):
            raise PlatformError(WRONG_FIELD, f"invalid {name}")
    meta = data.get("biz_meta")
    if not isinstance(meta, str) or len(meta) > _META_CHARACTERS:
        raise PlatformError(WRONG_FIELD, "invalid biz_meta")
    if str(data.get("refund_reason")) not in {"0", "1", "2", "3", "4", "5"}:
        raise PlatformError(WRONG_FIELD, "invalid refund_reason")
    if str(data.get("req_from")) not in {"1", "2", "3"}:
        raise PlatformError(WRONG_FIELD, "invalid req_from")
    return number


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_repeat(sandbox: Sandbox, number: str, order: VirtualOrder, fee: int) -> None:
    """A number used before; `left_fee` may differ, since it has changed meanwhile."""
    known = sandbox.state.xpay.refunds.get(number)
    if known is None:
        return
    if known.order is not order or known.fee != fee:
        raise PlatformError(WRONG_FIELD, "refund_order_id repeated with other arguments")
    if known.status == "fail":
        raise PlatformError(WRONG_FIELD, "refund_order_id belongs to a failed refund")
    raise PlatformError(REPEATED, "repeated operation")


def _check_against_order(sandbox: Sandbox, order: VirtualOrder, data: Json) -> None:
    if order.channel == APPLE:
        raise PlatformError(WRONG_FIELD, "apple order can not be refunded by merchant")
    if order.status not in {PAID, DELIVERING, DELIVERED, REFUNDED}:
        raise PlatformError(WRONG_FIELD, f"order status {order.status} can not be refunded")
    if sandbox.clock.now() - order.made_at > _YEAR_SECONDS:
        raise PlatformError(WRONG_FIELD, "order paid more than 365 days ago")
    refunds = sandbox.state.xpay.refunds_of(order)
    if any(item.status == "running" for item in refunds):
        raise PlatformError(_RUNNING, "refund in progress, retry later with same arguments")
    left = sandbox.state.xpay.left_fee(order)
    if data["left_fee"] != left:
        raise PlatformError(_WRONG_LEFT_FEE, "left_fee not match, query_order first")
    if data["refund_fee"] > left:
        raise PlatformError(WRONG_FIELD, "invalid refund_fee")
