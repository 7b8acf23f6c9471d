"""A shop with virtual payment; its cryptography shares nothing with the sandbox."""

import hashlib
import hmac
import json
from urllib.parse import parse_qs, urlsplit

from wechatpy.crypto import WeChatCrypto

TAKEN = b'{"ErrCode":0,"ErrMsg":"success"}'


def hex_hmac(key, message):
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()


class Shop:
    """Signs what a product would sign, asks what it would ask."""

    def __init__(self, platform, env, http, buyer):
        self.platform = platform
        self.env = env
        self.http = http
        self.buyer = buyer
        self.openid = buyer["openid"]
        reply = http(
            "GET",
            "/cgi-bin/token",
            params={
                "grant_type": "client_credential",
                "appid": env["KPAY_WECHAT_MP_APPID"],
                "secret": env["KPAY_WECHAT_MP_SECRET"],
            },
        )
        self.token = reply["access_token"]

    def key(self, xpay_env):
        return self.env["KPAY_XPAY_APP_KEY_SANDBOX" if xpay_env else "KPAY_XPAY_APP_KEY"]

    def sign_data(self, number="V0000001", **changed):
        data = {
            "offerId": self.env["KPAY_XPAY_OFFER_ID"],
            "buyQuantity": 1,
            "env": 0,
            "currencyType": "CNY",
            "productId": "course-1",
            "goodsPrice": 9900,
            "outTradeNo": number,
            "attach": "课程",
        } | changed
        return {name: value for name, value in data.items() if value is not None}

    def params(self, number="V0000001", mode="short_series_goods", **changed):
        data = self.sign_data(number, **changed)
        text = json.dumps(data, ensure_ascii=False)
        return {
            "mode": mode,
            "signData": text,
            "paySig": hex_hmac(self.key(data["env"]), "requestVirtualPayment&" + text),
            "signature": hex_hmac(self.buyer["session_key"], text),
        }

    def publish(self, item_id="course-1", price_fen=9900, **fields):
        return self.platform.virtual_item(item_id, price_fen, **fields)

    def pay(self, number="V0000001", outcome="success", **fields):
        """`fields` are of the client call; the item is published first."""
        self.publish()
        return self.platform.virtual_pay(self.openid, self.params(number), outcome, **fields)

    def ask(self, path, body, *, xpay_env=0, session_key=None, text=None, **query):
        """A server call under /xpay, rightly signed unless `query` says otherwise."""
        text = json.dumps({"env": xpay_env} | body, ensure_ascii=False) if text is None else text
        signed = {
            "access_token": self.token,
            "pay_sig": hex_hmac(self.key(xpay_env), f"/xpay/{path}&{text}"),
        }
        if session_key is not None:
            signed["signature"] = hex_hmac(session_key, text)
        wanted = {name: value for name, value in (signed | query).items() if value is not None}
        return self.http("POST", f"/xpay/{path}", params=wanted, data=text.encode())

    def query(self, number="V0000001", **changed):
        return self.ask("query_order", {"openid": self.openid, "order_id": number} | changed)

    def order(self, number="V0000001"):
        reply = self.query(number)
        assert reply["errcode"] == 0, reply
        return reply["order"]

    def refund(self, refund_no="R0000001", number="V0000001", **changed):
        body = {
            "openid": self.openid,
            "order_id": number,
            "refund_order_id": refund_no,
            "left_fee": 9900,
            "refund_fee": 9900,
            "biz_meta": "",
            "refund_reason": "3",
            "req_from": "2",
        } | changed
        return self.ask("refund_order", {n: v for n, v in body.items() if v is not None})


def opened(env, receiver, place=-1):
    """The text of a push to the mini-program, read by wechatpy."""
    path, _, body = receiver.got[place]
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    assert query["encrypt_type"] == "aes"
    if body.startswith(b"{"):
        body = f"<xml><Encrypt>{json.loads(body)['Encrypt']}</Encrypt></xml>"
    text = crypto(env).decrypt_message(
        body, query["msg_signature"], query["timestamp"], query["nonce"]
    )
    return text.decode() if isinstance(text, bytes) else text


def crypto(env):
    return WeChatCrypto(
        env["KPAY_WECHAT_MP_TOKEN"], env["KPAY_WECHAT_MP_AES_KEY"], env["KPAY_WECHAT_MP_APPID"]
    )


def taking(receiver):
    """From now on the product answers every push with ErrCode 0."""
    receiver.answer = lambda *_: (200, TAKEN)
