"""Coins: bought, presented, spent, given back (`wechat.md` B3)."""

from __future__ import annotations

import json
from typing import Any

from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json, PlatformError, Reply, Request, json_reply
from wechat_sandbox.xpay.signing import (
    REPEATED,
    WRONG_FIELD,
    known_openid,
    signed_call,
    signed_user_call,
)
from wechat_sandbox.xpay.state import CoinPayment, Purse, VirtualOrder

GIVEN_BACK = 268490005
NOT_ENOUGH = 268490006
NOT_PUBLISHED = 268490008
_MOST = 10**9
_NUMBER_CHARACTERS = 64


def query_user_balance(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/query_user_balance"""
    data, user = signed_user_call(sandbox, request)
    _text(data, "user_ip")
    with sandbox.lock:
        purse = purse_of(sandbox, data["env"], user.openid)
        return _ok(
            balance=purse.balance,
            present_balance=purse.present,
            sum_save=purse.sum_save,
            sum_present=purse.sum_present,
            sum_balance=purse.sum_save + purse.sum_present,
            sum_cost=purse.sum_cost,
            first_save_flag=purse.sum_save == 0,
        )


def currency_pay(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/currency_pay: presented coins go first."""
    data, user = signed_user_call(sandbox, request)
    number, amount = _text(data, "order_id"), _amount(data)
    _text(data, "user_ip")
    _check_items(data.get("payitem"))
    with sandbox.lock:
        _check_published(sandbox)
        payments = sandbox.state.xpay.coin_payments
        known = payments.get((data["env"], number))
        if known is not None:
            raise _repeated(known.arguments == data)
        purse = purse_of(sandbox, data["env"], user.openid)
        if purse.balance < amount:
            raise PlatformError(NOT_ENOUGH, "coin balance not enough")
        from_present = min(amount, purse.present)
        purse.present -= from_present
        purse.saved -= amount - from_present
        purse.sum_cost += amount
        payments[data["env"], number] = CoinPayment(data, amount, from_present)
        return _ok(order_id=number, balance=purse.balance, used_present_amount=from_present)


def cancel_currency_pay(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/cancel_currency_pay: bought coins come back first."""
    data, user = signed_user_call(sandbox, request)
    number, amount = _text(data, "order_id"), _amount(data)
    _text(data, "user_ip")
    with sandbox.lock:
        _check_published(sandbox)
        _check_new(sandbox, data, f"cancel:{number}")
        payment = sandbox.state.xpay.coin_payments.get((data["env"], _text(data, "pay_order_id")))
        if payment is None or payment.arguments["openid"] != user.openid:
            raise PlatformError(WRONG_FIELD, "pay_order_id not exist")
        if payment.returned == payment.amount:
            raise PlatformError(GIVEN_BACK, "order refunded by cancel_currency_pay already")
        if payment.returned + amount > payment.amount:
            raise PlatformError(NOT_ENOUGH, "amount above what is left of the payment")
        bought_left = max(0, payment.amount - payment.from_present - payment.returned)
        purse = purse_of(sandbox, data["env"], user.openid)
        purse.saved += min(amount, bought_left)
        purse.present += amount - min(amount, bought_left)
        purse.sum_cost -= amount
        payment.returned += amount
        sandbox.state.xpay.coin_calls[data["env"], f"cancel:{number}"] = data
    return _ok(order_id=number)


def present_currency(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/present_currency"""
    data = signed_call(sandbox, request)
    number, amount = _text(data, "order_id"), _amount(data)
    with sandbox.lock:
        user = known_openid(sandbox, data)
        _check_published(sandbox)
        _check_new(sandbox, data, f"present:{number}")
        purse = purse_of(sandbox, data["env"], user.openid)
        purse.present += amount
        purse.sum_present += amount
        sandbox.state.xpay.coin_calls[data["env"], f"present:{number}"] = data
        return _ok(balance=purse.balance, order_id=number, present_balance=purse.sum_present)


def purse_of(sandbox: Sandbox, env: int, openid: str) -> Purse:
    return sandbox.state.xpay.purses.setdefault((env, openid), Purse())


def bought(sandbox: Sandbox, order: VirtualOrder) -> None:
    """A paid `short_series_coin` order fills the purse."""
    purse = purse_of(sandbox, order.env, order.openid)
    purse.saved += order.quantity
    purse.sum_save += order.quantity


def taken_back(sandbox: Sandbox, order: VirtualOrder, fee: int) -> None:
    """A refund of bought coins takes them from the purse: 268490006 when they are spent."""
    amount = fee * order.quantity // order.fee
    purse = purse_of(sandbox, order.env, order.openid)
    if purse.saved < amount:
        raise PlatformError(NOT_ENOUGH, "coin balance not enough")
    purse.saved -= amount


def given_again(sandbox: Sandbox, order: VirtualOrder, fee: int) -> None:
    """The refund failed: the coins are the user's again."""
    purse_of(sandbox, order.env, order.openid).saved += fee * order.quantity // order.fee


def _ok(**fields: Any) -> Reply:
    return json_reply({"errcode": 0, "errmsg": "ok", **fields})


def _check_published(sandbox: Sandbox) -> None:
    if not sandbox.state.settings.xpay_coin_published:
        raise PlatformError(NOT_PUBLISHED, "coin not published")


def _check_new(sandbox: Sandbox, data: Json, name: str) -> None:
    known = sandbox.state.xpay.coin_calls.get((data["env"], name))
    if known is not None:
        raise _repeated(known == data)


def _repeated(same: bool) -> PlatformError:
    if same:
        return PlatformError(REPEATED, "repeated operation")
    return PlatformError(WRONG_FIELD, "order_id repeated with other arguments")


def _text(data: Json, name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _NUMBER_CHARACTERS:
        raise PlatformError(WRONG_FIELD, f"invalid {name}")
    return value


def _amount(data: Json) -> int:
    value = data.get("amount")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST:
        raise PlatformError(WRONG_FIELD, "invalid amount")
    return value


def _check_items(text: Any) -> None:
    """`payitem` is a JSON text: [{productid, unit_price, quantity}]."""
    try:
        items = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        items = None
    names = {"productid", "unit_price", "quantity"}
    good = isinstance(items, list) and bool(items)
    if not good or not all(isinstance(i, dict) and names <= set(i) for i in items or []):
        raise PlatformError(WRONG_FIELD, "invalid payitem")
