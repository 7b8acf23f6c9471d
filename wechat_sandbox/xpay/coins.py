"""Coins: bought, presented, spent, given back (`wechat.md` B3)."""

from __future__ import annotations

from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import PlatformError
from wechat_sandbox.xpay.state import Purse, VirtualOrder

NOT_ENOUGH = 268490006


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
