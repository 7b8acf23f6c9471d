"""One request from arrival to answer: recorded, perhaps struck by a fault, answered."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace

from wechat_sandbox.faults import Fault
from wechat_sandbox.pay import bills, forging, orders, refunds
from wechat_sandbox.routes import answer_pay, answer_platform, is_pay, sign_answer
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Call
from wechat_sandbox.wire import (
    ControlError,
    PayError,
    PlatformError,
    Reply,
    Request,
    dumps,
    pay_error_reply,
    platform_error_reply,
)
from wechat_sandbox.xpay.refunds import pushed_first

_SIGNATURE_TRICKS = {"bad_signature", "signtest", "stale_timestamp", "unknown_serial"}
_LIES = {"wrong_amount", "wrong_mchid"}
_KEPT_HEADERS = ("authorization", "wechatpay-serial", "content-type", "user-agent", "accept")
# D6: the HTTP status of a code, where a fault names the code alone.
_STATUSES = {
    "SYSTEM_ERROR": 500, "BANK_ERROR": 500, "OPENID_MISMATCH": 500, "INVALID_TRANSACTIONID": 500,
    "SIGN_ERROR": 401, "ORDER_NOT_EXIST": 404, "RESOURCE_NOT_EXISTS": 404,
    "FREQUENCY_LIMITED": 429, "RATELIMIT_EXCEEDED": 429, "FREQUENCY_LIMIT_EXCEED": 429,
    "SERVICE_UNAVAILABLE": 503, "NO_AUTH": 403, "RULE_LIMIT": 403, "OUT_TRADE_NO_USED": 403,
    "NOT_ENOUGH": 403, "USER_ACCOUNT_ABNORMAL": 403, "TRADE_ERROR": 403, "ACCOUNT_ERROR": 403,
    "REQUEST_BLOCKED": 403,
}  # fmt: skip
_ORDER_PATH = re.compile(r"/v3/pay/transactions/out-trade-no/([^/]+)(/close)?")
_HANG_UP_SECONDS = 30.0
_KEPT_BYTES = 20_000
_KEPT_BILL_BYTES = 500


def answer(sandbox: Sandbox, request: Request) -> Reply:
    """The platform's answer, with its record in the list of calls."""
    call = _record(sandbox, request)
    fault = sandbox.faults.draw("api", path=request.path)
    if fault is None:
        reply = _finished(sandbox, request, _effect(sandbox, request))
    else:
        call.fault = fault.kind
        reply = _struck(sandbox, request, fault)
    call.status = None if reply.cut else reply.status
    call.reply = _kept(reply.body[:_KEPT_BILL_BYTES] if reply.unsigned else reply.body)
    return reply


def _effect(sandbox: Sandbox, request: Request) -> Reply:
    handle = answer_pay if is_pay(request.path) else answer_platform
    return handle(sandbox, request)


def _finished(sandbox: Sandbox, request: Request, reply: Reply, tamper: str = "") -> Reply:
    return sign_answer(sandbox, request, reply, tamper) if is_pay(request.path) else reply


def _struck(sandbox: Sandbox, request: Request, fault: Fault) -> Reply:
    if fault.kind in {"drop", "reset_before_effect"}:
        return Reply(cut=True)
    if fault.kind in {"http_500", "errcode", "rate_limit"}:
        if fault.effected:
            _effect(sandbox, request)
        return _refusal(sandbox, request, fault)
    if fault.kind == "notify_before_response":
        return _notified_first(sandbox, request)
    if fault.kind == "expired_url":
        return _finished(sandbox, request, _with_dead_link(sandbox, request))
    if fault.kind == "duplicate":
        _effect(sandbox, request)
    return _spoiled(sandbox, request, _effect(sandbox, request), fault)


def _spoiled(sandbox: Sandbox, request: Request, reply: Reply, fault: Fault) -> Reply:
    """The call took effect; its answer is late, cut, or not what it should be."""
    if fault.kind == "reset_after_effect":
        return replace(reply, cut=True)
    if fault.kind == "timeout":
        sandbox.stopping.wait(fault.seconds(_HANG_UP_SECONDS))
        return replace(reply, cut=True)
    if fault.kind in _LIES:
        reply = _lying(reply, fault.kind)
    if fault.kind == "corrupt_bill":
        reply = bills.corrupted(reply, fault.argument)
    tamper = fault.kind if fault.kind in _SIGNATURE_TRICKS else ""
    reply = _finished(sandbox, request, reply, tamper)
    if fault.kind == "delay":
        sandbox.stopping.wait(fault.seconds(1.0))
    if fault.kind == "hang":
        reply.slow_seconds = fault.seconds(3.0)
    return reply


def _refusal(sandbox: Sandbox, request: Request, fault: Fault) -> Reply:
    if fault.kind == "http_500" and not is_pay(request.path):
        return Reply(500, b"<html><body>500 Internal Server Error</body></html>")
    if not is_pay(request.path):
        code = 45011 if fault.kind == "rate_limit" else _number(fault.argument)
        text = {-1: "system error", 45011: "api minute-quota reach limit"}.get(code, "injected")
        return platform_error_reply(PlatformError(code, text))
    named = {"http_500": "SYSTEM_ERROR", "rate_limit": "FREQUENCY_LIMITED"}
    code_name = named.get(fault.kind, fault.argument)
    status = _STATUSES.get(code_name, 400)
    reply = pay_error_reply(PayError(status, code_name, "系统异常，请稍后重试"))
    # A gateway's 500 carries no signature (D2).
    return reply if fault.kind == "http_500" else _finished(sandbox, request, reply)


def _number(argument: str) -> int:
    try:
        return int(argument)
    except ValueError:
        return -1


def _notified_first(sandbox: Sandbox, request: Request) -> Reply:
    """The notify overtakes the answer: a refund that settles, a payment in between.

    A close comes too late then; a query still tells what it saw before.
    """
    order = _ORDER_PATH.fullmatch(request.path)
    if order and order[2]:
        _paid_meanwhile(sandbox, order[1])
        return _finished(sandbox, request, _effect(sandbox, request))
    reply = _effect(sandbox, request)
    if order and reply.status == 200:
        _paid_meanwhile(sandbox, order[1])
    if reply.status == 200 and request.path == "/v3/refund/domestic/refunds":
        number = json.loads(reply.body)["out_refund_no"]
        with sandbox.lock:
            item = sandbox.state.refunds[number]
            due = item.status == "PROCESSING"
            notify = refunds.settle(sandbox, item, item.planned) if due else None
        if notify is not None:
            notify.first_attempt.wait(10)
    if request.path == "/xpay/refund_order":
        pushed_first(sandbox, reply)
    return _finished(sandbox, request, reply)


def _paid_meanwhile(sandbox: Sandbox, number: str) -> None:
    """The payer pays and the merchant is told, if the order can be paid at all."""
    with suppress(ControlError):
        order = orders.pay(sandbox, number)
        orders.notify_paid(sandbox, order).first_attempt.wait(10)


def _with_dead_link(sandbox: Sandbox, request: Request) -> Reply:
    """A bill's link is over: when it is followed, or already when it is handed out."""
    if request.path == bills.DOWNLOAD_PATH:
        bills.expire(sandbox, request.query.get("token", ""))
        return _effect(sandbox, request)
    reply = _effect(sandbox, request)
    if reply.status == 200:
        address = str(json.loads(reply.body).get("download_url", ""))
        bills.expire(sandbox, address.rpartition("token=")[2])
    return reply


def _lying(reply: Reply, kind: str) -> Reply:
    if reply.status != 200 or reply.unsigned:
        return reply
    return replace(reply, body=dumps(forging.spoiled(json.loads(reply.body), kind)))


def _kept(body: bytes) -> str:
    return body[:_KEPT_BYTES].decode("utf-8", "replace")


def _record(sandbox: Sandbox, request: Request) -> Call:
    with sandbox.lock:
        sandbox.state.call_ids += 1
        call = Call(
            id=sandbox.state.call_ids,
            at=sandbox.clock.now(),
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={n: request.headers[n] for n in _KEPT_HEADERS if n in request.headers},
            body=_kept(request.body),
        )
        sandbox.state.calls.append(call)
    return call
