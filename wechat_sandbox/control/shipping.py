"""Order shipping: the platform's reminders, and what buyers and time do."""

from __future__ import annotations

from wechat_sandbox import push
from wechat_sandbox.control import fields
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Order
from wechat_sandbox.wire import ControlError, Json

_REMIND = "trade_manage_remind_shipping"
_SETTLEMENT = "trade_manage_order_settlement"
_TWO_DAYS = 2 * 86400


def remind(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """The platform misses the delivery of a paid order: trade_manage_remind_shipping."""
    order = _paid(sandbox, number)
    told = {"msg": "您有订单超过48小时未发货，请尽快录入发货信息"}
    return _push(sandbox, data, _REMIND, order, told)


def settle(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """{step: shipped|received|settled, method?: auto|manual}: trade_manage_order_settlement.

    shipped tells when the money will come; received and settled, that it has.
    """
    step = fields.choice(data, "step", {"shipped", "received", "settled"}, "settled")
    method = fields.choice(data, "method", {"auto", "manual"}, "auto")
    order = _paid(sandbox, number)
    now = sandbox.clock.wire()
    with sandbox.lock:
        shipping = sandbox.state.shippings.get(number)
        if shipping is None:
            raise ControlError(409, "not_shipped", f"{number} was not shipped")
        told: Json = {"shipped_time": int(shipping["shipped_at"])}
        if step == "shipped":
            told["estimated_settlement_time"] = int(shipping["shipped_at"]) + _TWO_DAYS
        else:
            shipping["received_at"] = shipping["received_at"] or now
            told["confirm_receive_method"] = 1 if method == "auto" else 2
            told["confirm_receive_time"] = int(shipping["received_at"])
        if step == "settled":
            shipping["settled_at"] = now
            told["settlement_time"] = int(now)
    return _push(sandbox, data, _SETTLEMENT, order, told)


def _paid(sandbox: Sandbox, number: str) -> Order:
    with sandbox.lock:
        order = sandbox.state.orders.get(number)
    if order is None or not order.transaction_id:
        raise ControlError(404, "order_not_exist", f"no paid order {number}")
    return order


def _push(sandbox: Sandbox, data: Json, event: str, order: Order, told: Json) -> Json:
    """The event as the message server gets it; the product's answer comes back."""
    settings = sandbox.state.settings
    body: Json = {
        "account": "mp",
        "openid": order.payer_openid,
        "type": event,
        "format": "xml" if settings.mp_push_xml else "json",
        "encrypt": not settings.mp_push_plain,
        "fields": {
            "transaction_id": order.transaction_id,
            "merchant_id": sandbox.identity.mchid,
            "sub_merchant_id": "",
            "merchant_trade_no": order.out_trade_no,
            "pay_time": int(order.success_at),
            **told,
        },
    }
    retry = fields.flag(data, "retry", True)
    return push.deliver(sandbox, push.new_push(sandbox, body), retry=retry)
