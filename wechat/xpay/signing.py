"""The two signatures of virtual payment and the text that the client pays with (B2)."""

import hashlib
import hmac
import re

import orjson

from kernel.errors import InvariantBroken

# In place of a path where the client, not the server, makes the call.
CLIENT_URI = "requestVirtualPayment"
_NUMBER = re.compile(r"[0-9A-Za-z\-|*@][0-9A-Za-z_\-|*@]{7,31}")


def sign_data(
    *,
    offer_id: str,
    env: int,
    out_trade_no: str,
    product_id: str,
    price_fen: int,
    quantity: int,
    selling_fen: int | None = None,
    attach: str = "",
) -> str:
    """The `signData` of a direct purchase: signed and sent as this very text.

    `price_fen` is the price of one, equal to the published item's. A lower `selling_fen` (a
    promotion, a coupon) is told as `activitySellingPrice`, an optional field of the platform's
    own page on `wx.requestVirtualPayment`; it is left out where nothing is taken off.
    """
    if not _NUMBER.fullmatch(out_trade_no):
        raise InvariantBroken("outTradeNo is 8 to 32 of 0-9A-Za-z_-|*@, not beginning with _")
    if selling_fen is not None and not 0 < selling_fen <= price_fen:
        raise InvariantBroken("an item is sold for its price or less")
    lower = selling_fen is not None and selling_fen < price_fen
    return orjson.dumps(
        {
            "offerId": offer_id,
            "buyQuantity": quantity,
            "env": env,
            "currencyType": "CNY",
            "productId": product_id,
            "goodsPrice": price_fen,
            "outTradeNo": out_trade_no,
            "attach": attach,
            **({"activitySellingPrice": selling_fen} if lower else {}),
        }
    ).decode()


def pay_sig(app_key: str, uri: str, body: str | bytes) -> str:
    """Proof of the app: hex HMAC-SHA256 of `uri&body`; `uri` is a path without query."""
    return _hmac(app_key, uri.encode() + b"&" + _bytes(body))


def user_signature(session_key: str, body: str | bytes) -> str:
    """Proof of the user's login. The session key counts as the base64 text that it came as."""
    return _hmac(session_key, _bytes(body))


def _hmac(key: str, message: bytes) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body
