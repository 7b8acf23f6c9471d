"""Virtual orders: paid, told, queried, delivered (`wechat.md` B3, B4)."""

from __future__ import annotations

import secrets

from wechat_sandbox.clock import beijing_stamp
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import User
from wechat_sandbox.wire import Json, PlatformError, Reply, Request, json_reply
from wechat_sandbox.xpay import coins, pushes
from wechat_sandbox.xpay.signing import (
    REPEATED,
    WRONG_FIELD,
    WRONG_OPENID,
    known_openid,
    signed_call,
)
from wechat_sandbox.xpay.state import (
    APPLE,
    CLOSED,
    CREATED,
    DELIVERED,
    DELIVERING,
    PAID,
    REFUND_FAILED,
    REFUNDED,
    VirtualOrder,
    VirtualRefund,
)

GOODS = "short_series_goods"
COIN = "short_series_coin"
_DELIVER = {GOODS: "xpay_goods_deliver_notify", COIN: "xpay_coin_pay_notify"}
_REFUND_STATUSES = {"running": CREATED, "success": REFUNDED, "fail": REFUND_FAILED}


def query_order(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/query_order: an order, or a refund by its own number."""
    data = signed_call(sandbox, request)
    with sandbox.lock:
        user = known_openid(sandbox, data)
        number = order_number(data)
        refund = sandbox.state.xpay.refund(number)
        if refund is not None and refund.order.env == data["env"]:
            _check_owner(refund.order, user)
            view = refund_view(refund)
        else:
            view = order_view(sandbox, known_order(sandbox, data, user))
    return json_reply({"errcode": 0, "errmsg": "ok", "order": view})


def notify_provide_goods(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/notify_provide_goods: delivered, though no push could be answered."""
    data = signed_call(sandbox, request)
    with sandbox.lock:
        order = known_order(sandbox, data)
        if order.status == DELIVERED:
            raise PlatformError(REPEATED, "order already provided")
        if order.status not in {PAID, DELIVERING}:
            raise PlatformError(WRONG_FIELD, f"order status {order.status} can not be provided")
        _delivered(sandbox, order)
        pushes.stop(sandbox, order.out_trade_no, _DELIVER[order.mode])
    return json_reply({"errcode": 0, "errmsg": "ok"})


def order_number(data: Json) -> str:
    """`order_id` or `wx_order_id`, whichever is given."""
    for name in ("order_id", "wx_order_id"):
        value = data.get(name)
        if isinstance(value, str) and value:
            return value
    raise PlatformError(WRONG_FIELD, "order_id and wx_order_id are both empty")


def known_order(sandbox: Sandbox, data: Json, user: User | None = None) -> VirtualOrder:
    order = sandbox.state.xpay.order(order_number(data))
    if order is None or order.env != data["env"]:
        raise PlatformError(WRONG_FIELD, "数据不存在")
    if user is not None:
        _check_owner(order, user)
    _lapse(sandbox, order)
    return order


def _check_owner(order: VirtualOrder, user: User) -> None:
    if order.openid != user.openid:
        raise PlatformError(WRONG_OPENID, "openid not match the order")


def mark_paid(sandbox: Sandbox, order: VirtualOrder) -> None:
    """The user paid: in the order, and in the purse when coins were bought."""
    now = sandbox.clock.wire()
    order.status = PAID
    order.paid_at = order.updated_at = now
    if order.channel == APPLE:
        order.channel_order_id = "".join(secrets.choice("0123456789") for _ in range(15))
    else:
        order.channel_order_id = new_number(now, "M")
        order.wxpay_order_id = new_number(now, "4300")
    if order.mode == COIN:
        coins.bought(sandbox, order)


def tell_paid(
    sandbox: Sandbox, order: VirtualOrder, *, delay_seconds: float = 0.0
) -> pushes.Delivery:
    """The push that asks the merchant to deliver, repeated until it says ErrCode 0."""

    def sent() -> None:
        with sandbox.lock:
            if order.status == PAID:
                order.status = DELIVERING

    def accepted() -> None:
        with sandbox.lock:
            if order.status in {PAID, DELIVERING}:
                _delivered(sandbox, order)

    event = pushes.new_event(sandbox, _DELIVER[order.mode], _paid_fields(order))
    return pushes.publish(
        sandbox,
        event,
        number=order.out_trade_no,
        sent=sent,
        accepted=accepted,
        delay_seconds=delay_seconds,
    )


def _delivered(sandbox: Sandbox, order: VirtualOrder) -> None:
    order.status = DELIVERED
    order.provided_at = order.updated_at = sandbox.clock.wire()


def _paid_fields(order: VirtualOrder) -> Json:
    fields: Json = {
        "OpenId": order.openid,
        "OutTradeNo": order.out_trade_no,
        "Env": order.env,
    }
    if order.channel != APPLE:  # no payment of WeChat Pay stands behind Apple's
        fields["WeChatPayInfo"] = {
            "MchOrderNo": order.channel_order_id,
            "TransactionId": order.wxpay_order_id,
            "PaidTime": int(order.paid_at),
        }
    bought: Json = {
        "Quantity": order.quantity,
        "OrigPrice": order.list_fee,
        "ActualPrice": order.fee,
        "Attach": order.attach,
    }
    if order.mode == GOODS:
        fields["GoodsInfo"] = {"ProductId": order.product_id, **bought}
    else:
        fields["CoinInfo"] = bought
    return fields


def order_view(sandbox: Sandbox, order: VirtualOrder) -> Json:
    return {
        "order_id": order.out_trade_no,
        "create_time": int(order.created_at),
        "update_time": int(order.updated_at),
        "status": order.status,
        "biz_type": 0,
        "order_fee": order.fee,
        "coupon_fee": 0,
        "paid_fee": order.fee if order.paid else 0,
        "order_type": 7 if order.channel == APPLE else 0,  # 7: Apple's, as query_order documents
        "refund_fee": 0,
        "paid_time": int(order.paid_at),
        "provide_time": int(order.provided_at),
        "biz_meta": order.attach,
        "env_type": order.env + 1,
        "token": order.token,
        "left_fee": sandbox.state.xpay.left_fee(order),
        "wx_order_id": order.wx_order_id,
        "channel_order_id": order.channel_order_id,
        "wxpay_order_id": order.wxpay_order_id,
    }


def refund_view(refund: VirtualRefund) -> Json:
    """A refund as `query_order` shows it."""
    order = refund.order
    return {
        "order_id": refund.number,
        "create_time": int(refund.created_at),
        "update_time": int(refund.finished_at or refund.created_at),
        "status": _REFUND_STATUSES[refund.status],
        "biz_type": 0,
        "order_fee": order.fee,
        "coupon_fee": 0,
        "paid_fee": 0,
        "order_type": 8 if order.channel == APPLE else 1,
        "refund_fee": refund.fee,
        "paid_time": int(refund.finished_at) if refund.status == "success" else 0,
        "provide_time": 0,
        "biz_meta": refund.biz_meta,
        "env_type": order.env + 1,
        "token": "",
        "left_fee": 0,
        "wx_order_id": refund.wx_order_id,
        "channel_order_id": "",
        "wxpay_order_id": refund.wxpay_order_id,
    }


def _lapse(sandbox: Sandbox, order: VirtualOrder) -> None:
    """What nobody pays is closed after a while."""
    life = sandbox.state.settings.xpay_close_seconds
    if order.status == CREATED and sandbox.clock.now() - order.made_at >= life:
        order.status = CLOSED
        order.updated_at = sandbox.clock.wire()


def new_number(moment: float, mark: str) -> str:
    """28 characters, unique over restarts."""
    digits = "".join(secrets.choice("0123456789") for _ in range(14 - len(mark)))
    return f"{mark}{beijing_stamp(moment)}{digits}"
