"""Refunds (D5): accepted now, settled later."""

from __future__ import annotations

import secrets

from wechat_sandbox.clock import beijing_stamp
from wechat_sandbox.pay import bodies, checks
from wechat_sandbox.pay.notifier import publish
from wechat_sandbox.sandbox import Notify, Sandbox
from wechat_sandbox.state import Order, Refund
from wechat_sandbox.wire import ControlError, Json, PayError, Reply, Request, json_reply

_YEAR_SECONDS = 365 * 86400
_MOST_REFUNDS = 50
_REASON_BYTES = 80
OUTCOMES = {"success": "SUCCESS", "abnormal": "ABNORMAL", "closed": "CLOSED"}


def create(sandbox: Sandbox, request: Request) -> Reply:
    """POST /v3/refund/domestic/refunds. The same number with the same arguments repeats."""
    data = request.json()
    with sandbox.lock:
        number = _check(data)
        known = sandbox.state.refunds.get(number)
        if known is not None:
            if known.arguments != data:
                raise PayError(400, "INVALID_REQUEST", "退款单号重复，且参数与之前的请求不一致")
            return json_reply(bodies.refund(known))
        order = _order(sandbox, data)
        amount = data["amount"]["refund"]
        _check_against_order(sandbox, order, data, amount)
        item = Refund(
            out_refund_no=number,
            refund_id=_new_refund_id(sandbox),
            order=order,
            arguments=data,
            amount=amount,
            payer_amount=_payer_share(order, amount),
            created_at=sandbox.clock.wire(),
            made_at=sandbox.clock.now(),
            planned=sandbox.state.planned_refunds.pop(number, "success"),
        )
        sandbox.state.refunds[number] = item
        order.state = "REFUND"
        reply = json_reply(bodies.refund(item))
        if not sandbox.state.settings.hold_refunds:
            _settle_later(sandbox, item)
    return reply


def query(sandbox: Sandbox, request: Request, *, number: str) -> Reply:
    """GET /v3/refund/domestic/refunds/{out_refund_no}"""
    with sandbox.lock:
        item = sandbox.state.refunds.get(number)
        if item is None:
            raise PayError(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
        return json_reply(bodies.refund(item))


def settle(sandbox: Sandbox, item: Refund, outcome: str) -> Notify | None:
    """Ends a refund that is PROCESSING and tells the merchant; None when nobody is told."""
    with sandbox.lock:
        if item.status != "PROCESSING":
            raise ControlError(
                409, "refund_settled", f"{item.out_refund_no} is {item.status} already"
            )
        item.status = OUTCOMES[outcome]
        if item.status == "SUCCESS":
            item.success_at = sandbox.clock.wire()
        if item.status == "CLOSED" and not _counting(sandbox, item.order):
            item.order.state = "SUCCESS"
        plain = bodies.refund_notify(item, sandbox.identity.mchid)
        url = item.arguments.get("notify_url")
    if not url:
        return None
    return publish(sandbox, event_type=f"REFUND.{item.status}", url=url, plain=plain)


def plan(sandbox: Sandbox, number: str, outcome: str) -> Refund | None:
    """Remembers the outcome of a refund that was not asked for yet."""
    with sandbox.lock:
        item = sandbox.state.refunds.get(number)
        if item is None:
            sandbox.state.planned_refunds[number] = outcome
        return item


def _settle_later(sandbox: Sandbox, item: Refund) -> None:
    def job(_: float) -> None:
        with sandbox.lock:
            waiting = (
                item.status == "PROCESSING"
                and sandbox.state.refunds.get(item.out_refund_no) is item
            )
            if not waiting:
                return
            settle(sandbox, item, item.planned)

    delay = sandbox.state.settings.refund_delay_seconds
    sandbox.schedule.at(sandbox.clock.now() + delay, job)


def _check(data: Json) -> str:
    number = data.get("out_refund_no")
    if not isinstance(number, str) or not checks.OUT_REFUND_NO.fullmatch(number):
        raise checks.param_error("out_refund_no", "须为1到64个数字、字母或_-|*@")
    reason = checks.text(data, "reason", most=_REASON_BYTES, required=False)
    if len(reason.encode("utf-8", "replace")) > _REASON_BYTES:
        raise checks.param_error("reason", "不能超过80个字节")
    checks.notify_url(data, required=False)
    if data.get("funds_account") not in (None, "AVAILABLE", "UNSETTLED"):
        raise checks.param_error("funds_account", "须为AVAILABLE或UNSETTLED")
    amount = data.get("amount")
    checks.fen(amount, "refund")
    checks.fen(amount, "total")
    checks.currency(data["amount"], required=True)
    return number


def _order(sandbox: Sandbox, data: Json) -> Order:
    transaction_id, number = data.get("transaction_id"), data.get("out_trade_no")
    order: Order | None
    if transaction_id is not None:
        order = sandbox.state.by_transaction.get(str(transaction_id))
    elif number is not None:
        order = sandbox.state.orders.get(str(number))
    else:
        raise checks.param_error("transaction_id", "与out_trade_no须二选一")
    if order is None:
        raise PayError(404, "RESOURCE_NOT_EXISTS", "订单不存在")
    return order


def _check_against_order(sandbox: Sandbox, order: Order, data: Json, amount: int) -> None:
    if not order.transaction_id:
        raise PayError(400, "INVALID_REQUEST", "订单未支付，不能退款")
    if data["amount"]["total"] != order.total:
        raise PayError(400, "INVALID_REQUEST", "订单金额与原订单不一致")
    now = sandbox.clock.now()
    if now - order.paid_at > _YEAR_SECONDS:
        raise PayError(400, "INVALID_REQUEST", "订单已超过一年，不能退款")
    taken = _counting(sandbox, order)
    if sum(item.amount for item in taken) + amount > order.total:
        raise PayError(400, "INVALID_REQUEST", "申请退款金额超过订单可退金额")
    if len(taken) >= _MOST_REFUNDS:
        raise PayError(403, "RULE_LIMIT", "该订单部分退款次数超过50次")
    gap = sandbox.state.settings.refund_gap_seconds
    if any(0 <= now - item.made_at < gap for item in taken):
        raise PayError(429, "FREQUENCY_LIMITED", "同一订单两次部分退款须间隔一分钟")


def _counting(sandbox: Sandbox, order: Order) -> list[Refund]:
    """Refunds that hold money of the order: all but the closed ones."""
    return [
        item
        for item in sandbox.state.refunds.values()
        if item.order is order and item.status != "CLOSED"
    ]


def _payer_share(order: Order, amount: int) -> int:
    """The payer's part of a refund; the platform's coupon takes the rest."""
    return amount * order.payer_total // order.total


def _new_refund_id(sandbox: Sandbox) -> str:
    digits = "".join(secrets.choice("0123456789") for _ in range(11))
    return f"5030{beijing_stamp(sandbox.clock.wire())[2:]}{digits}"
