"""Apple's refunds and users' complaints (`wechat.md` B3, B4)."""

from __future__ import annotations

import secrets

from wechat_sandbox.push import Push, attempt, drawn, new_record
from wechat_sandbox.replies import shown
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import ControlError, Json
from wechat_sandbox.xpay import pushes, refunds
from wechat_sandbox.xpay.orders import new_number
from wechat_sandbox.xpay.state import (
    APPLE,
    DELIVERED,
    DELIVERING,
    REFUNDED,
    VirtualOrder,
    VirtualRefund,
)

QUESTION = "xpay_subscribe_ios_refund_query_notify"
COMPLAINT = "xpay_complaint_notify"
_ASKED = 3
_ANSWER_SECONDS = 3.0
_ANSWERS = {"0": "agree", "1": "refuse"}


def ask(sandbox: Sandbox, order: VirtualOrder, *, reason: str) -> Json:
    """Asks the merchant whether Apple should refund: up to three times, 3 s each.

    What is late, unreadable, without evidence, or plain where pushes are encrypted does not
    count; then Apple is told "unsure".
    """
    _check_apple(order)
    event = pushes.new_event(sandbox, QUESTION, _question_fields(sandbox, order, reason))
    record = new_record(sandbox, event)
    answer: Json = {"answer": "unsure", "result_code": None, "result_info": "", "evidence": ""}
    for _ in range(_ASKED):
        got = attempt(sandbox, event, record, _ANSWER_SECONDS, drawn(sandbox, event))
        read = _answer(event, shown(event.account, got))
        if read is not None:
            answer = read
            break
    answer |= {"fields": event.fields, "deliveries": list(record["deliveries"])}
    with sandbox.lock:
        order.questions.append(answer)
    return answer


def give_back(sandbox: Sandbox, order: VirtualOrder) -> pushes.Delivery:
    """Apple refunds the whole order; the merchant has no number for it."""
    _check_apple(order)
    with sandbox.lock:
        left = sandbox.state.xpay.left_fee(order)
        if not left:
            raise ControlError(409, "order_refunded", f"{order.out_trade_no} is refunded already")
        now = sandbox.clock.wire()
        item = VirtualRefund(
            number="",
            wx_order_id=new_number(now, "XR"),
            order=order,
            arguments={},
            fee=left,
            biz_meta="",
            created_at=now,
            back_to=order.status,
        )
        sandbox.state.xpay.apple_refunds.append(item)
        order.status = REFUNDED
    return refunds.settle(sandbox, item, "success")


def complain(sandbox: Sandbox, order: VirtualOrder, *, detail: str) -> pushes.Delivery:
    """The user complains to the platform about an order."""
    now = sandbox.clock.wire()
    fields: Json = {
        "OpenId": order.openid,
        "WxOrderId": order.wx_order_id,
        "MchOrderId": order.out_trade_no,
        "TransactionId": order.wxpay_order_id,
        "ComplaintId": new_number(now, "2001"),
        "ComplaintDetail": detail,
        "ComplaintTime": int(now),
        "RetryTimes": 0,
        "RequestId": secrets.token_hex(12),
    }
    event = pushes.new_event(sandbox, COMPLAINT, fields)
    return pushes.publish(sandbox, event, number=order.out_trade_no)


def _check_apple(order: VirtualOrder) -> None:
    if order.channel != APPLE or not order.paid:
        raise ControlError(409, "not_apple", f"{order.out_trade_no} was not paid through Apple")


def _question_fields(sandbox: Sandbox, order: VirtualOrder, reason: str) -> Json:
    provided = {DELIVERED: "1", DELIVERING: "2"}.get(order.status, "0")
    return {
        "refund_time": str(int(sandbox.clock.wire())),
        "order_time": str(int(order.paid_at)),
        "channel_bill": order.channel_order_id,
        "bundleid": "com.tencent.xin",
        "product_id": order.product_id,
        "p_count": str(order.quantity),
        "refund_request_reason": reason,
        "provide_status": provided,
        "pay_order_id": order.out_trade_no,
    }


def _answer(event: Push, reply: Json) -> Json | None:
    """The merchant's answer; None when there is none that counts."""
    if reply["status"] != 200 or reply["encrypted"] != event.encrypted:
        return None
    message = {str(name).lower(): value for name, value in reply["message"].items()}
    code = str(message.get("result_code", ""))
    evidence = message.get("evidence")
    if code not in _ANSWERS or not isinstance(evidence, str) or not evidence:
        return None
    return {
        "answer": _ANSWERS[code],
        "result_code": int(code),
        "result_info": str(message.get("result_info", "")),
        "evidence": evidence,
    }
