"""Order shipping of mini-programs (`wechat.md` A9): what was paid must be told as delivered."""

from __future__ import annotations

from typing import Any

from wechat_sandbox.clock import parse_rfc3339
from wechat_sandbox.platform.tokens import require_token
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Order
from wechat_sandbox.wire import Json, PlatformError, Reply, Request, json_reply

NOT_EXIST = (10060001, "支付单不存在")
FINISHED = (10060002, "支付单已完成发货，无法继续发货")
RESHIPPED = (10060003, "支付单已使用重新发货机会")
NOT_SHIPPABLE = (10060004, "支付单处于不可发货的状态")
WRONG_TYPE = (10060005, "物流类型有误")
NO_SPLIT = (10060006, "非快递发货时不允许分拆发货")
NO_DESCRIPTION = (10060008, "商品描述item_desc字段不能为空")
LONG_DESCRIPTION = (10060009, "商品描述item_desc字段太长")
WRONG_FIELD = (10060014, "参数错误")
SAME_AGAIN = (10060023, "发货信息未更新")
WRONG_PAYER = (10060031, "支付单不属于该openid用户")
NO_TRACKING = (268485226, "物流单号不能为空")
WAITING, SHIPPED, RECEIVED, SETTLED, REFUNDED = 1, 2, 3, 4, 5  # order_state
_EXPRESS = 1
_LOGISTICS = {1, 2, 3, 4}
_DESCRIPTION_CHARACTERS = 120
_MOST_PARCELS = 10


def upload_shipping_info(sandbox: Sandbox, request: Request) -> Reply:
    """POST /wxa/sec/order/upload_shipping_info: once, and once more to correct it."""
    require_token(sandbox, request, kind="mp")
    data = request.json()
    with sandbox.lock:
        order = _keyed_order(sandbox, data.get("order_key"))
        told = _check(data)
        if told["payer"] != order.payer_openid:
            raise PlatformError(*WRONG_PAYER)
        if state_of(sandbox, order) == REFUNDED:
            raise PlatformError(*NOT_SHIPPABLE)
        known = sandbox.state.shippings.get(order.out_trade_no)
        if known is not None:
            _check_again(known, told)
        sandbox.state.shippings[order.out_trade_no] = {
            "told": told,
            "times": 1 if known is None else known["times"] + 1,
            "shipped_at": sandbox.clock.wire(),
            "received_at": 0.0,
            "settled_at": 0.0,
        }
    return json_reply({"errcode": 0, "errmsg": "ok"})


def get_order(sandbox: Sandbox, request: Request) -> Reply:
    """POST /wxa/sec/order/get_order"""
    require_token(sandbox, request, kind="mp")
    data = request.json()
    key = {
        "transaction_id": data.get("transaction_id"),
        "mchid": data.get("merchant_id"),
        "out_trade_no": data.get("merchant_trade_no"),
        "order_number_type": 2 if data.get("transaction_id") else 1,
    }
    with sandbox.lock:
        order = _keyed_order(sandbox, key)
        return json_reply({"errcode": 0, "errmsg": "ok", "order": view(sandbox, order)})


def is_trade_managed(sandbox: Sandbox, request: Request) -> Reply:
    """POST /wxa/sec/order/is_trade_managed"""
    account = require_token(sandbox, request, kind="mp")
    if request.json().get("appid") != account.appid:
        raise PlatformError(40013, "invalid appid")
    managed = sandbox.state.settings.trade_managed
    return json_reply({"errcode": 0, "errmsg": "ok", "is_trade_managed": managed})


def state_of(sandbox: Sandbox, order: Order) -> int:
    """The order's state as order shipping counts it."""
    if order.state == "REFUND":
        return REFUNDED
    shipping = sandbox.state.shippings.get(order.out_trade_no)
    if shipping is None:
        return WAITING
    if shipping["settled_at"]:
        return SETTLED
    return RECEIVED if shipping["received_at"] else SHIPPED


def view(sandbox: Sandbox, order: Order) -> Json:
    shipping = sandbox.state.shippings.get(order.out_trade_no)
    told: Json = {} if shipping is None else shipping["told"]
    return {
        "transaction_id": order.transaction_id,
        "merchant_id": sandbox.identity.mchid,
        "sub_merchant_id": "",
        "merchant_trade_no": order.out_trade_no,
        "description": order.arguments.get("description", ""),
        "paid_amount": order.total,
        "openid": order.payer_openid,
        "trade_create_time": int(order.created_at),
        "pay_time": int(order.success_at),
        "order_state": state_of(sandbox, order),
        "in_complaint": False,
        "shipping": {
            "delivery_mode": told.get("delivery_mode", 0),
            "logistics_type": told.get("logistics_type", 0),
            "finish_shipping": shipping is not None,
            "goods_desc": told.get("item_desc", ""),
            "finish_shipping_count": 0 if shipping is None else shipping["times"],
            "shipping_list": told.get("shipping_list", []),
        },
    }


def _keyed_order(sandbox: Sandbox, key: Any) -> Order:
    """10060001 while the payment is still on its way to this part of the platform."""
    if not isinstance(key, dict) or key.get("order_number_type") not in (1, 2):
        raise PlatformError(*WRONG_FIELD)
    order: Order | None
    if key["order_number_type"] == 2:
        order = sandbox.state.by_transaction.get(str(key.get("transaction_id")))
    else:
        if key.get("mchid") != sandbox.identity.mchid:
            raise PlatformError(*NOT_EXIST)
        order = sandbox.state.orders.get(str(key.get("out_trade_no")))
    wait = sandbox.state.settings.shipping_seconds
    if order is None or not order.transaction_id or sandbox.clock.now() - order.paid_at < wait:
        raise PlatformError(*NOT_EXIST)
    return order


def _check(data: Json) -> Json:
    """Every field rule; returns what is kept."""
    kind, mode = data.get("logistics_type"), data.get("delivery_mode")
    if isinstance(kind, bool) or not isinstance(kind, int) or kind not in _LOGISTICS:
        raise PlatformError(*WRONG_TYPE)
    if mode not in (1, 2) or isinstance(mode, bool):
        raise PlatformError(*WRONG_FIELD)
    if mode == 2 and kind != _EXPRESS:
        raise PlatformError(*NO_SPLIT)
    parcels = data.get("shipping_list")
    if not isinstance(parcels, list) or not 0 < len(parcels) <= _MOST_PARCELS:
        raise PlatformError(*WRONG_FIELD)
    for parcel in parcels:
        _check_parcel(parcel, kind)
    try:
        parse_rfc3339(str(data.get("upload_time")))
    except ValueError as error:
        raise PlatformError(*WRONG_FIELD) from error
    payer = data.get("payer")
    if not isinstance(payer, dict) or not isinstance(payer.get("openid"), str):
        raise PlatformError(*WRONG_FIELD)
    return {
        "logistics_type": kind,
        "delivery_mode": mode,
        "shipping_list": parcels,
        "item_desc": parcels[0]["item_desc"],
        "payer": payer["openid"],
    }


def _check_parcel(parcel: Any, kind: int) -> None:
    text = parcel.get("item_desc") if isinstance(parcel, dict) else None
    if not isinstance(text, str) or not text:
        raise PlatformError(*NO_DESCRIPTION)
    if len(text) > _DESCRIPTION_CHARACTERS:
        raise PlatformError(*LONG_DESCRIPTION)
    if kind == _EXPRESS and not (parcel.get("tracking_no") and parcel.get("express_company")):
        raise PlatformError(*NO_TRACKING)


def _check_again(known: Json, told: Json) -> None:
    """A shipped order may be corrected once, until it was received."""
    if known["told"] == told:
        raise PlatformError(*SAME_AGAIN)
    if known["received_at"] or known["settled_at"]:
        raise PlatformError(*FINISHED)
    if known["times"] > 1:
        raise PlatformError(*RESHIPPED)
