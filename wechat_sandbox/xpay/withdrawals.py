"""Withdrawals of what virtual payment earned (`wechat.md` B3). Amounts travel as yuan text."""

from __future__ import annotations

import re
from typing import Any

from wechat_sandbox.clock import rfc3339
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import ControlError, Json, PlatformError, Reply, Request, json_reply
from wechat_sandbox.xpay.coins import NOT_ENOUGH
from wechat_sandbox.xpay.orders import new_number
from wechat_sandbox.xpay.signing import REPEATED, WRONG_FIELD, signed_call

_NUMBER = re.compile(r"[0-9A-Za-z_-]{8,32}")
_YUAN = re.compile(r"(0|[1-9]\d{0,9})(?:\.(\d{1,2}))?")
_RUNNING, _DONE, _FAILED = 1, 2, 3
_SECONDS = 1.0
OUTCOMES = {"success": _DONE, "fail": _FAILED}


def create_withdraw_order(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/create_withdraw_order: without an amount, all there is."""
    data = signed_call(sandbox, request)
    number = _number(data)
    with sandbox.lock:
        state = sandbox.state.xpay
        known = state.withdrawals.get(number)
        if known is not None:
            if known["arguments"] == data:
                raise PlatformError(REPEATED, "repeated operation")
            raise PlatformError(WRONG_FIELD, "withdraw_no repeated with other arguments")
        left = _available(sandbox, data["env"])
        fen = left if data.get("withdraw_amount") is None else _fen(data["withdraw_amount"])
        if not 0 < fen <= left:
            raise PlatformError(NOT_ENOUGH, "balance not enough")
        now = sandbox.clock.wire()
        order: Json = {
            "arguments": data,
            "env": data["env"],
            "fen": fen,
            "wx_withdraw_no": new_number(now, "XT"),
            "status": _RUNNING,
            "created_at": now,
            "done_at": 0.0,
        }
        state.withdrawals[number] = order
        _end_later(sandbox, number, order, state.planned_withdrawals.pop(number, "success"))
    numbers = {"withdraw_no": number, "wx_withdraw_no": order["wx_withdraw_no"]}
    return json_reply({"errcode": 0, "errmsg": "ok", **numbers})


def query_withdraw_order(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/query_withdraw_order"""
    data = signed_call(sandbox, request)
    number = _number(data)
    with sandbox.lock:
        order = sandbox.state.xpay.withdrawals.get(number)
        if order is None or order["env"] != data["env"]:
            raise PlatformError(WRONG_FIELD, "withdraw_no not exist")
        return json_reply({"errcode": 0, "errmsg": "ok", **view(number, order)})


def plan(sandbox: Sandbox, number: str, outcome: str) -> Json:
    """The outcome of a withdrawal that is still to be asked for, or that runs."""
    with sandbox.lock:
        order = sandbox.state.xpay.withdrawals.get(number)
        if order is None:
            sandbox.state.xpay.planned_withdrawals[number] = outcome
            return {"withdraw_no": number, "status": None, "planned": outcome}
        if order["status"] != _RUNNING:
            raise ControlError(409, "withdrawal_ended", f"{number} has ended")
        _end(sandbox, order, outcome)
        return {**view(number, order), "planned": None}


def view(number: str, order: Json) -> Json:
    return {
        "withdraw_no": number,
        "status": order["status"],
        "withdraw_amount": f"{order['fen'] // 100}.{order['fen'] % 100:02}",
        "wx_withdraw_no": order["wx_withdraw_no"],
        "withdraw_success_timestamp": str(int(order["done_at"])),
        "create_time": rfc3339(order["created_at"]),
        "fail_reason": "bank account abnormal" if order["status"] == _FAILED else "",
    }


def _end_later(sandbox: Sandbox, number: str, order: Json, outcome: str) -> None:
    def job(_: float) -> None:
        with sandbox.lock:
            known = sandbox.state.xpay.withdrawals.get(number) is order
            if known and order["status"] == _RUNNING:
                _end(sandbox, order, outcome)

    sandbox.schedule.at(sandbox.clock.now() + _SECONDS, job)


def _end(sandbox: Sandbox, order: Json, outcome: str) -> None:
    order["status"] = OUTCOMES[outcome]
    if outcome == "success":
        order["done_at"] = sandbox.clock.wire()


def _available(sandbox: Sandbox, env: int) -> int:
    """Paid, less given back, less withdrawn; the days of settlement are left out."""
    state = sandbox.state.xpay
    earned = sum(state.left_fee(order) for order in state.orders.values() if order.env == env)
    taken: int = sum(
        order["fen"]
        for order in state.withdrawals.values()
        if order["env"] == env and order["status"] != _FAILED
    )
    return earned - taken


def _number(data: Json) -> str:
    number = data.get("withdraw_no")
    if not isinstance(number, str) or not _NUMBER.fullmatch(number):
        raise PlatformError(WRONG_FIELD, "invalid withdraw_no")
    return number


def _fen(text: Any) -> int:
    match = _YUAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise PlatformError(WRONG_FIELD, "invalid withdraw_amount: yuan as text")
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
