"""What `wx.requestVirtualPayment` places, and how the user's client refuses (`wechat.md` B2)."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass

from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import User
from wechat_sandbox.wire import ControlError, Json
from wechat_sandbox.xpay.goods import ITEM_ID
from wechat_sandbox.xpay.orders import COIN, GOODS, new_number
from wechat_sandbox.xpay.signing import (
    app_key,
    made_with_an_old_key,
    pay_signature,
    same,
    user_signature,
)
from wechat_sandbox.xpay.state import APPLE, WXPAY, Item, VirtualOrder

PLATFORMS = {"android", "ios", "windows", "harmony", "devtools"}
_URI = "requestVirtualPayment"
_OUT_TRADE_NO = re.compile(r"[0-9A-Za-z\-|*@][0-9A-Za-z_\-|*@]{7,31}")
_IOS_LEAST_FEN = 100
_MOST = 10**9


@dataclass(frozen=True)
class Asked:
    """The client call as it came."""

    user: User
    text: str  # signData, byte for byte
    data: Json
    pay_sig: object
    signature: object
    mode: str
    platform: str

    @property
    def env(self) -> int:
        return int(self.data["env"])


def refused(code: int, name: str, message: str = "") -> ControlError:
    """The client's `fail`: errCode and errMsg beside the control API's own error."""
    return ControlError(
        409, name, message or name, errCode=code, errMsg=f"requestVirtualPayment:fail {name}"
    )


def parse(user: User, data: Json, platform: str) -> Asked:
    """The control call's body as the client reads it."""
    text = data.get("signData")
    try:
        sign_data = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        sign_data = None
    if not isinstance(text, str) or not isinstance(sign_data, dict):
        raise refused(-15016, "SIGN_DATA_INVALID", "signData is not a JSON object as text")
    mode = data.get("mode")
    if mode not in (GOODS, COIN):
        raise refused(-15001, "MODE_INVALID", f"mode is {GOODS} or {COIN}")
    if sign_data.get("env") not in (0, 1) or isinstance(sign_data.get("env"), bool):
        raise refused(-15001, "ENV_INVALID", "env is 0 or 1")
    return Asked(
        user, text, sign_data, data.get("paySig"), data.get("signature"), str(mode), platform
    )


def place(sandbox: Sandbox, asked: Asked) -> VirtualOrder:
    """The new order, which uses its number up; or the client's refusal, which does not."""
    _check_signatures(sandbox, asked)
    _check_platform(sandbox, asked)
    if asked.data.get("currencyType") != "CNY":
        raise refused(-15004, "CURRENCY_TYPE_INVALID")
    number = _number(asked.data)
    quantity = _whole(asked.data, "buyQuantity", "BUY_QUANTITY_INVALID")
    if not isinstance(asked.data.get("attach", ""), str):
        raise refused(-15001, "ATTACH_INVALID")
    list_price, price = _coin_price(sandbox) if asked.mode == COIN else _price(sandbox, asked)
    fee = price * quantity
    if asked.platform == "ios" and fee < _IOS_LEAST_FEN:
        raise refused(-15001, "IOS_AMOUNT_TOO_SMALL", "at least 1 yuan on iOS")
    if number in sandbox.state.xpay.orders:
        raise refused(-15002, "OUT_TRADE_NO_REPEATED", f"{number} was used before")
    now = sandbox.clock.wire()
    order = VirtualOrder(
        out_trade_no=number,
        wx_order_id=new_number(now, "XW"),
        openid=asked.user.openid,
        env=asked.env,
        mode=asked.mode,
        product_id=str(asked.data.get("productId", "")) if asked.mode == GOODS else "",
        quantity=quantity,
        list_fee=list_price * quantity,
        fee=fee,
        attach=str(asked.data.get("attach", "")),
        platform=asked.platform,
        channel=APPLE if asked.platform == "ios" else WXPAY,
        token=secrets.token_hex(16),
        created_at=now,
        made_at=sandbox.clock.now(),
        updated_at=now,
    )
    sandbox.state.xpay.orders[number] = order
    return order


def _check_signatures(sandbox: Sandbox, asked: Asked) -> None:
    if asked.data.get("offerId") != sandbox.identity.xpay_offer_id:
        raise refused(-15001, "OFFER_ID_INVALID")
    body = asked.text.encode("utf-8", "replace")
    key = app_key(sandbox.identity, asked.env)
    if not same(asked.pay_sig, pay_signature(key, _URI, body)):
        raise refused(-15006, "PAY_SIG_INVALID")
    if same(asked.signature, user_signature(asked.user.session_key, body)):
        return
    if made_with_an_old_key(asked.user, body, asked.signature):
        raise refused(-15007, "SESSION_KEY_EXPIRED", "the session key was refreshed since")
    raise refused(-15005, "SIGNATURE_INVALID")


def _check_platform(sandbox: Sandbox, asked: Asked) -> None:
    """The sandbox environment works in the developer tools alone; Apple has none."""
    if asked.platform == "ios" and not sandbox.state.settings.xpay_ios:
        raise refused(701001, "IOS_NOT_SUPPORT", "ios not support")
    if asked.platform == "ios" and asked.env == 1:
        raise refused(-15001, "INVALID_PLATFORM", "iOS pays in the live environment only")
    if asked.env == 1 and asked.platform != "devtools":
        raise refused(-15011, "PAYMENT_ILLEGAL_IN_SANDBOX")


def _number(data: Json) -> str:
    number = data.get("outTradeNo")
    if not isinstance(number, str) or not _OUT_TRADE_NO.fullmatch(number):
        raise refused(
            -15001, "OUT_TRADE_NO_INVALID", "8 to 32 of digits, letters, _-|*@; no _ in front"
        )
    return number


def _whole(data: Json, name: str, code: str) -> int:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise refused(-15001, code, f"{name}: an integer above 0")
    return value


def _price(sandbox: Sandbox, asked: Asked) -> tuple[int, int]:
    """(published, asked) price of one item; a lower `activitySellingPrice` is what is paid."""
    product = asked.data.get("productId")
    item = sandbox.state.xpay.items.get(product) if isinstance(product, str) else None
    if item is None and sandbox.state.settings.xpay_console_items and isinstance(product, str):
        item = _from_the_console(sandbox, product, asked)
    published = None if item is None else item.published_price
    if item is not None and asked.env == 1 and published is None:
        published = item.price  # the development version is enough there
    if item is None or published is None:
        raise refused(-15010, "PRODUCT_ID_NOT_PUBLISH", f"{product} is not published")
    if sandbox.clock.now() < item.usable_at:
        raise refused(-15014, "COIN_OR_PRODUCT_ID_CREATED_IN_RECENTLY")
    given = _whole(asked.data, "goodsPrice", "GOODS_PRICE_INVALID")
    if given != published:
        raise refused(-15013, "GOODS_PRICE_INVALID", f"published for {published}, not {given}")
    if asked.data.get("activitySellingPrice") is None:
        return given, given
    selling = _whole(asked.data, "activitySellingPrice", "GOODS_PRICE_INVALID")
    if selling > given:
        raise refused(-15013, "GOODS_PRICE_INVALID", "activitySellingPrice above goodsPrice")
    return given, selling


def _from_the_console(sandbox: Sandbox, product: str, asked: Asked) -> Item | None:
    """Somebody published it by hand in the console, which nobody here has seen, at this price."""
    if not ITEM_ID.fullmatch(product):
        return None
    price = _whole(asked.data, "goodsPrice", "GOODS_PRICE_INVALID")
    item = Item(product, product, price, published_price=price)
    sandbox.state.xpay.items[product] = item
    return item


def _coin_price(sandbox: Sandbox) -> tuple[int, int]:
    settings = sandbox.state.settings
    if not settings.xpay_coin_published:
        raise refused(-15009, "COIN_NOT_PUBLISH")
    return settings.xpay_coin_price_fen, settings.xpay_coin_price_fen
