"""Refunds (D5): accepted now, settled later."""

from __future__ import annotations

import secrets

from wechat_sandbox.clock import beijing_stamp
from wechat_sandbox.notifies import Notify
from wechat_sandbox.pay import bodies, checks
from wechat_sandbox.pay.bill_entries import fee_fen
from wechat_sandbox.pay.notifier import publish
from wechat_sandbox.sandbox import Sandbox
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
        _check_pace(sandbox, order)
        item = _accepted(sandbox, order, data, amount)
        return json_reply(bodies.refund(item))


def console_refund(
    sandbox: Sandbox, order: Order, amount: int, *, notify_url: str, outcome: str
) -> Refund:
    """Somebody refunds by hand on the merchant console: the platform chooses the number."""
    with sandbox.lock:
        number = f"{sandbox.identity.mchid}{beijing_stamp(sandbox.clock.wire())}{_digits(8)}"
        data: Json = {
            "out_trade_no": order.out_trade_no,
            "out_refund_no": number,
            "notify_url": notify_url,
            "funds_account": "AVAILABLE",
            "amount": {"refund": amount, "total": order.total, "currency": "CNY"},
        }
        try:
            _check_against_order(sandbox, order, data, amount)
            item = _accepted(sandbox, order, data, amount)
        except PayError as error:
            raise ControlError(409, error.code.lower(), error.message) from error
        item.by_console = True
        item.planned = outcome
        return item


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
        if item.status == "CLOSED":
            item.closed_at = sandbox.clock.wire()
            _move_balance(sandbox, _net(sandbox, item))
            if not _counting(item.order):
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


def open_refund(sandbox: Sandbox, order: Order, item: Refund) -> None:
    """The refund is in the books from now on."""
    sandbox.state.refunds[item.out_refund_no] = item
    sandbox.state.by_refund_id[item.refund_id] = item
    order.refunds.append(item)
    if _counting(order):
        order.state = "REFUND"


def settle_later(sandbox: Sandbox, item: Refund) -> None:
    """Settles by plan after `refund_delay_seconds`, unless refunds are held."""
    if sandbox.state.settings.hold_refunds:
        return

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


def _accepted(sandbox: Sandbox, order: Order, data: Json, amount: int) -> Refund:
    """The money leaves the merchant at once; NOT_ENOUGH when it has less."""
    number = data["out_refund_no"]
    item = Refund(
        out_refund_no=number,
        refund_id=new_refund_id(sandbox.clock.wire()),
        order=order,
        arguments=data,
        amount=amount,
        payer_amount=payer_share(order, amount),
        created_at=sandbox.clock.wire(),
        made_at=sandbox.clock.now(),
    )
    needed = _net(sandbox, item)
    balance = sandbox.state.settings.merchant_balance_fen
    if balance is not None and balance < needed:
        raise PayError(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起")
    _move_balance(sandbox, -needed)
    item.planned = sandbox.state.planned_refunds.pop(number, "success")
    open_refund(sandbox, order, item)
    settle_later(sandbox, item)
    return item


def _net(sandbox: Sandbox, item: Refund) -> int:
    """What a refund costs the merchant: its part of the fee comes back."""
    return item.settlement - fee_fen(item.settlement, sandbox.state.settings.fee_rate_percent)


def _move_balance(sandbox: Sandbox, fen: int) -> None:
    settings = sandbox.state.settings
    if settings.merchant_balance_fen is not None:
        settings.merchant_balance_fen += fen


def _check_against_order(sandbox: Sandbox, order: Order, data: Json, amount: int) -> None:
    if not order.transaction_id:
        raise PayError(400, "INVALID_REQUEST", "订单未支付，不能退款")
    if data["amount"]["total"] != order.total:
        raise PayError(400, "INVALID_REQUEST", "订单金额与原订单不一致")
    if sandbox.clock.now() - order.paid_at > _YEAR_SECONDS:
        raise PayError(400, "INVALID_REQUEST", "订单已超过一年，不能退款")
    taken = _counting(order)
    if sum(item.amount for item in taken) + amount > order.total:
        raise PayError(400, "INVALID_REQUEST", "申请退款金额超过订单可退金额")
    if len(taken) >= _MOST_REFUNDS:
        raise PayError(403, "RULE_LIMIT", "该订单部分退款次数超过50次")


def _check_pace(sandbox: Sandbox, order: Order) -> None:
    now = sandbox.clock.now()
    gap = sandbox.state.settings.refund_gap_seconds
    if any(0 <= now - item.made_at < gap for item in _counting(order)):
        raise PayError(429, "FREQUENCY_LIMITED", "同一订单两次部分退款须间隔一分钟")


def _counting(order: Order) -> list[Refund]:
    """Refunds that hold money of the order: all but the closed ones."""
    return [item for item in order.refunds if item.status != "CLOSED"]


def payer_share(order: Order, amount: int) -> int:
    """The payer's part of a refund; the platform's coupon takes the rest."""
    return amount * order.payer_total // order.total


def new_refund_id(moment: float) -> str:
    """29 digits, unique over restarts."""
    return f"50302{beijing_stamp(moment)[2:]}{_digits(12)}"


def _digits(count: int) -> str:
    return "".join(secrets.choice("0123456789") for _ in range(count))
