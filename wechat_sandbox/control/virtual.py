"""Virtual payment: what users, Apple and the console do."""

from __future__ import annotations

from wechat_sandbox.control import fields
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import State
from wechat_sandbox.wire import ControlError, Json
from wechat_sandbox.xpay import apple, bills, goods, orders, placing, refunds, withdrawals
from wechat_sandbox.xpay.pushes import Delivery
from wechat_sandbox.xpay.state import CLOSED, Item, VirtualOrder

_WAIT_SECONDS = 12.0
_OUTCOMES = {"success", "fail"}


def payment(sandbox: Sandbox, data: Json) -> Json:
    """What the user's client does with the product's parameters.

    Refused as the client refuses: 409 with errCode and errMsg. Unless `wait` is false, returns
    after the first delivery of the push.
    """
    user = fields.known_user(sandbox, fields.text(data, "openid"))
    usual = user.platform if user.platform in placing.PLATFORMS else "android"
    platform = fields.choice(data, "platform", placing.PLATFORMS, usual)
    outcome = fields.choice(data, "outcome", {"success", "cancel", "fail"}, "success")
    notify = fields.flag(data, "notify", True)
    wait = fields.flag(data, "wait", True)
    delay = fields.number(data, "delay_seconds", 0.0, least=0, most=10**8)
    with sandbox.lock:
        order = placing.place(sandbox, placing.parse(user, data, platform))
        if outcome == "success":
            orders.mark_paid(sandbox, order)
        elif outcome == "fail":
            order.status = CLOSED
    if outcome == "cancel":
        return _placed(sandbox, order, -2, "requestVirtualPayment:fail cancel")
    if outcome == "fail":
        return _placed(sandbox, order, -15012, "requestVirtualPayment:fail order closed")
    delivery = orders.tell_paid(sandbox, order, delay_seconds=delay) if notify else None
    if delivery is not None and wait and not delay:
        delivery.first_attempt.wait(_WAIT_SECONDS)
    return _placed(sandbox, order, 0, "requestVirtualPayment:ok", delivery)


def refund(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """Settles a refund now, or plans the outcome of one that is still to be asked for."""
    outcome = fields.choice(data, "outcome", refunds.OUTCOMES, "success")
    item = refunds.plan(sandbox, number, outcome)
    if item is None:
        return {"refund_order_id": number, "status": None, "planned": outcome, "push": None}
    delivery = refunds.settle(sandbox, item, outcome)
    if fields.flag(data, "wait", True):
        delivery.first_attempt.wait(_WAIT_SECONDS)
    return {**refunds.view(item), "planned": None, "push": delivery.view()}


def order_read(sandbox: Sandbox, _: Json, *, number: str) -> Json:
    """An order as `query_order` would show it, its refunds, and every push about it."""
    return _order_view(sandbox, _order(sandbox, number))


def apple_question(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """Apple asks through the platform: {reason?} → agree, refuse or unsure, with the answer."""
    reason = fields.text(data, "reason", "UNINTENDED_PURCHASE")
    return apple.ask(sandbox, _order(sandbox, number), reason=reason)


def apple_refund(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """Apple decides: {refunded?: true}; the whole order goes back, or nothing happens."""
    order = _order(sandbox, number)
    delivery = apple.give_back(sandbox, order) if fields.flag(data, "refunded", True) else None
    if delivery is not None and fields.flag(data, "wait", True):
        delivery.first_attempt.wait(_WAIT_SECONDS)
    with sandbox.lock:
        view = orders.order_view(sandbox, order)
    return {"order": view, "push": None if delivery is None else delivery.view()}


def complaint(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """The user complains: {detail?}"""
    detail = fields.text(data, "detail", "课程与描述不符")
    delivery = apple.complain(sandbox, _order(sandbox, number), detail=detail)
    if fields.flag(data, "wait", True):
        delivery.first_attempt.wait(_WAIT_SECONDS)
    return {"push": delivery.view()}


def withdrawal(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """Ends a withdrawal now, or plans the outcome of one that is still to be asked for."""
    outcome = fields.choice(data, "outcome", set(withdrawals.OUTCOMES), "success")
    return withdrawals.plan(sandbox, number, outcome)


def item_create(sandbox: Sandbox, data: Json) -> Json:
    """Publishes an item at once: {id, name, price_fen, quiet_seconds?: 0}."""
    item_id = fields.text(data, "id")
    price = fields.integer(data, "price_fen", None, least=1, most=10**9)
    quiet = fields.number(data, "quiet_seconds", 0.0, least=0, most=10**8)
    with sandbox.lock:
        item = sandbox.state.xpay.items.setdefault(item_id, Item(item_id, item_id, price))
        item.name = fields.text(data, "name", item.name)
        item.price = price
        goods.put_on_sale(sandbox, item, quiet)
        return goods.view(item)


def item_plan(sandbox: Sandbox, data: Json, *, item_id: str) -> Json:
    """How uploads and publishes of an item end: {upload?, publish?: success|fail, errmsg?}."""
    plan = {
        "upload": fields.choice(data, "upload", _OUTCOMES, "success"),
        "publish": fields.choice(data, "publish", _OUTCOMES, "success"),
    }
    if data.get("errmsg") is not None:
        plan["errmsg"] = fields.text(data, "errmsg")
    with sandbox.lock:
        sandbox.state.xpay.item_plans[item_id] = plan
    return {"id": item_id, **plan}


def bill(sandbox: Sandbox, data: Json, *, day: str) -> Json:
    """Plants differences into a day's bill: {drop?, extra?, amounts?, statuses?}."""
    return bills.plan_differences(sandbox, day, data)


def state_view(sandbox: Sandbox, state: State) -> Json:
    """The part of `GET /state`."""
    return {
        "virtual_orders": [orders.order_view(sandbox, o) for o in state.xpay.orders.values()],
        "virtual_refunds": [refunds.view(item) for item in state.xpay.refunds.values()],
        "virtual_items": [goods.view(item) for item in state.xpay.items.values()],
    }


def _order(sandbox: Sandbox, number: str) -> VirtualOrder:
    with sandbox.lock:
        order = sandbox.state.xpay.order(number)
    if order is None:
        raise ControlError(404, "order_not_exist", f"no virtual order {number}")
    return order


def _placed(
    sandbox: Sandbox, order: VirtualOrder, code: int, text: str, delivery: Delivery | None = None
) -> Json:
    with sandbox.lock:
        return {
            "errCode": code,
            "errMsg": text,
            "order": orders.order_view(sandbox, order),
            "push": None if delivery is None else delivery.view(),
        }


def _order_view(sandbox: Sandbox, order: VirtualOrder) -> Json:
    with sandbox.lock:
        state = sandbox.state.xpay
        return {
            **orders.order_view(sandbox, order),
            "platform": order.platform,
            "channel": order.channel,
            "product_id": order.product_id,
            "refunds": [refunds.view(item) for item in state.refunds_of(order)],
            "apple_questions": list(order.questions),
            "pushes": [d.view() for d in state.deliveries if d.number == order.out_trade_no],
        }
