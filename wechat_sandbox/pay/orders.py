"""Prepay, query and close (D3), and what the payer does."""

from __future__ import annotations

import secrets

from wechat_sandbox.clock import beijing_stamp
from wechat_sandbox.notifies import Notify
from wechat_sandbox.pay import bodies, checks
from wechat_sandbox.pay.bill_entries import fee_fen
from wechat_sandbox.pay.notifier import publish
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Order, Window, new_openid
from wechat_sandbox.wire import (
    ControlError,
    Json,
    PayError,
    Reply,
    Request,
    json_reply,
)

_PREPAY_SECONDS = {"jsapi": 7200, "native": 7200, "h5": 300}
_TRADE_TYPES = {"jsapi": "JSAPI", "native": "NATIVE", "h5": "MWEB"}
_PAID_WINDOW_SECONDS = 48 * 3600


def prepay(sandbox: Sandbox, request: Request, *, product: str) -> Reply:
    """POST /v3/pay/transactions/{jsapi,native,h5}."""
    data = request.json()
    trade_type = _TRADE_TYPES[product]
    with sandbox.lock:
        number = checks.out_trade_no(data.get("out_trade_no"))
        expires = _check(sandbox, data, product)
        order = sandbox.state.orders.get(number)
        now = sandbox.clock.now()
        if order is None:
            order = Order(
                out_trade_no=number,
                trade_type=trade_type,
                arguments=data,
                prepay=_new_prepay(sandbox, product),
                prepay_until=now + _PREPAY_SECONDS[product],
                time_expire=expires,
                created_at=sandbox.clock.wire(),
            )
            sandbox.state.orders[number] = order
        else:
            _check_again(order, trade_type, data)
            if order.prepay_until < now:
                order.prepay = _new_prepay(sandbox, product)
                order.prepay_until = now + _PREPAY_SECONDS[product]
        return json_reply(order.prepay)


def _check(sandbox: Sandbox, data: Json, product: str) -> float:
    """Every field rule; returns when the order expires."""
    appid = checks.text(data, "appid", most=32)
    if sandbox.identity.account_of(appid) is None:
        raise PayError(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配")
    checks.merchant(sandbox, data)
    checks.text(data, "description", most=127)
    checks.text(data, "attach", most=128, required=False)
    checks.text(data, "goods_tag", most=32, required=False)
    checks.notify_url(data)
    amount = data.get("amount")
    checks.fen(amount, "total")
    checks.currency(data["amount"], required=False)
    scene = data.get("scene_info")
    if scene is not None or product == "h5":
        if not isinstance(scene, dict):
            raise checks.param_error("scene_info", "不能为空")
        checks.text(scene, "payer_client_ip", most=45)
    if product == "h5" and isinstance(scene, dict):
        info = scene.get("h5_info")
        if not isinstance(info, dict) or info.get("type") not in ("iOS", "Android", "Wap"):
            raise checks.param_error("scene_info/h5_info/type", "须为iOS、Android或Wap")
    if product == "jsapi":
        checks.payer(sandbox, data, appid)
    if data.get("time_expire") is not None and data["out_trade_no"] in sandbox.state.orders:
        return 0.0  # a repeat keeps the first call's expiry, even a passed one
    return checks.time_expire(sandbox, data)


def _check_again(order: Order, trade_type: str, data: Json) -> None:
    """A number used before: the same arguments or nothing."""
    if order.state in {"SUCCESS", "REFUND"}:
        raise PayError(400, "ORDERPAID", "该订单已支付")
    if order.state == "CLOSED":
        raise PayError(400, "ORDER_CLOSED", "该订单已关闭")
    if order.trade_type != trade_type:
        raise PayError(403, "OUT_TRADE_NO_USED", "商户订单号重复")
    if order.arguments != data:
        raise PayError(
            400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致，请确认参数是否修改"
        )


def _new_prepay(sandbox: Sandbox, product: str) -> Json:
    if product == "native":
        return {"code_url": f"weixin://wxpay/bizpayurl?pr={secrets.token_hex(5)}zz"}
    if product == "h5":
        stamp = beijing_stamp(sandbox.clock.wire())
        ticket = f"prepay_id=wx{stamp}{secrets.token_hex(10)}&package={secrets.randbelow(10**10)}"
        return {"h5_url": f"https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?{ticket}"}
    stamp = beijing_stamp(sandbox.clock.wire())
    return {"prepay_id": f"wx{stamp}{secrets.token_hex(10)}"}


def query(sandbox: Sandbox, request: Request, *, number: str) -> Reply:
    """GET /v3/pay/transactions/out-trade-no/{no}?mchid="""
    with sandbox.lock:
        checks.merchant(sandbox, dict(request.query))
        return json_reply(bodies.transaction(_known(sandbox, number)))


def query_by_id(sandbox: Sandbox, request: Request, *, number: str) -> Reply:
    """GET /v3/pay/transactions/id/{transaction_id}?mchid= (paid orders only)"""
    with sandbox.lock:
        checks.merchant(sandbox, dict(request.query))
        order = sandbox.state.by_transaction.get(number)
        if order is None:
            raise PayError(404, "ORDER_NOT_EXIST", "订单不存在")
        return json_reply(bodies.transaction(order))


def close(sandbox: Sandbox, request: Request, *, number: str) -> Reply:
    """POST /v3/pay/transactions/out-trade-no/{no}/close: 204, again and again."""
    data = request.json()
    with sandbox.lock:
        checks.merchant(sandbox, data)
        order = _known(sandbox, number)
        if order.state in {"SUCCESS", "REFUND"}:
            raise PayError(400, "ORDERPAID", "该订单已支付，不能关闭")
        order.state = "CLOSED"
    return Reply(204)


def _known(sandbox: Sandbox, number: str) -> Order:
    order = sandbox.state.orders.get(number)
    if order is None:
        raise PayError(404, "ORDER_NOT_EXIST", "订单不存在")
    return order


def pay(
    sandbox: Sandbox,
    number: str,
    *,
    payer_total: int | None = None,
    coupon_type: str = "CASH",
    openid: str | None = None,
    force: bool = False,
) -> Order:
    """The payer pays. `force` overrides closed and expired, as a race on the platform can."""
    with sandbox.lock:
        order = sandbox.state.orders.get(number)
        if order is None:
            raise ControlError(404, "order_not_exist", f"no order {number}")
        order.attempts += 1
        if order.state in {"SUCCESS", "REFUND"}:
            raise ControlError(409, "order_paid", f"{number} is paid already")
        if not force:
            _check_payable(sandbox, order)
        total = order.total if payer_total is None else payer_total
        if not 0 <= total <= order.total:
            raise ControlError(400, "invalid_payer_total", "payer_total_fen is 0 to the total")
        order.payer_total = total
        order.coupon_type = coupon_type
        order.payer_openid = _payer_of(sandbox, order, openid)
        order.success_at = sandbox.clock.wire()
        order.paid_at = sandbox.clock.now()
        order.transaction_id = new_transaction_id(order.success_at)
        order.state = "SUCCESS"
        sandbox.state.by_transaction[order.transaction_id] = order
        settings = sandbox.state.settings
        if settings.merchant_balance_fen is not None:
            fee = fee_fen(order.settlement, settings.fee_rate_percent)
            settings.merchant_balance_fen += order.settlement - fee
        _open_paid_window(sandbox, order)
        return order


def notify_paid(sandbox: Sandbox, order: Order, *, delay_seconds: float = 0.0) -> Notify:
    """TRANSACTION.SUCCESS to the order's notify_url, by plan."""
    with sandbox.lock:
        plain = bodies.transaction(order)
        # The fact that is told is the payment, even when a refund came meanwhile.
        plain |= {"trade_state": "SUCCESS", "trade_state_desc": "支付成功"}
        url = order.arguments["notify_url"]
    return publish(
        sandbox,
        event_type="TRANSACTION.SUCCESS",
        url=url,
        plain=plain,
        delay_seconds=delay_seconds,
    )


def imagined_payment(sandbox: Sandbox, order: Order) -> Json:
    """What a notify of `order` would tell: the truth when paid, else a forger's guess."""
    if order.transaction_id:
        return bodies.transaction(order) | {
            "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功",
        }
    moment = sandbox.clock.wire()
    guess = Order(
        out_trade_no=order.out_trade_no,
        trade_type=order.trade_type,
        arguments=order.arguments,
        prepay={},
        prepay_until=0.0,
        time_expire=0.0,
        created_at=order.created_at,
        state="SUCCESS",
        transaction_id=new_transaction_id(moment),
        success_at=moment,
        payer_openid=_payer_of(sandbox, order, None),
        payer_total=order.total,
    )
    return bodies.transaction(guess)


def new_transaction_id(moment: float) -> str:
    """28 digits, unique over restarts."""
    digits = "".join(secrets.choice("0123456789") for _ in range(10))
    return f"4200{beijing_stamp(moment)}{digits}"


def _check_payable(sandbox: Sandbox, order: Order) -> None:
    if order.state == "CLOSED":
        raise ControlError(409, "order_closed", f"{order.out_trade_no} is closed")
    if order.time_expire <= sandbox.clock.wire():
        raise ControlError(409, "order_expired", f"{order.out_trade_no} can no longer be paid")
    if order.prepay_until <= sandbox.clock.now():
        raise ControlError(409, "prepay_expired", "the prepay id, code or page has expired")


def _payer_of(sandbox: Sandbox, order: Order, openid: str | None) -> str:
    """JSAPI names its payer; a code or an H5 page is paid by whoever opens it.

    That may be somebody never seen before. A known person is told by the openid that belongs
    to the order's app.
    """
    if openid is None and order.trade_type == "JSAPI":
        return str(order.arguments["payer"]["openid"])
    if openid is None:
        return new_openid()
    user = sandbox.state.user(openid)
    account = sandbox.identity.account_of(order.arguments["appid"])
    return openid if user is None or account is None else user.openid_in(account.kind)


def _open_paid_window(sandbox: Sandbox, order: Order) -> None:
    """A payment lets the official account write for 48 h without a count (C7)."""
    user = sandbox.state.user(order.payer_openid)
    if user is not None:
        until = sandbox.clock.now() + _PAID_WINDOW_SECONDS
        user.windows.setdefault("oa", []).append(Window("payment", until, None))
