"""WeChat Pay v3 behind one client: signed requests, verified answers, decrypted notices.

wechatpayv3 gives the primitives (`rsa_sign`, `rsa_verify`, `aes_decrypt`). Its own request and
callback code is not used: it signs with the machine's clock, checks no freshness, and downloads
certificates in the constructor and inside a notify (`wechat.md` E2).
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

import orjson
from django.conf import settings
from wechatpayv3.utils import rsa_sign

from kernel import clock
from kernel.errors import InvalidInput
from kernel.transactions import outside_transaction
from wechat import pay_signatures
from wechat.errors import WeChatError, WeChatForged, WeChatNotNow, WeChatRefused, WeChatUncertain
from wechat.pay_results import Notify, PayResult, RefundResult
from wechat.pay_signatures import PayKeys, load_keys
from wechat.transport import Answer, Transport

R = TypeVar("R", PayResult, RefundResult)

__all__ = ["Notify", "PayClient", "PayConfig", "PayResult", "RefundResult", "pay_client"]

_ORDERS = "/v3/pay/transactions"
_REFUNDS = "/v3/refund/domestic/refunds"
_SCHEMA = "WECHATPAY2-SHA256-RSA2048"
# D6: may have happened; the same call must be repeated with the same number.
_UNCERTAIN = {"SYSTEM_ERROR", "BANK_ERROR", "INVALID_TRANSACTIONID"}
# D6: has not happened, will be possible later with the same number.
_LATER = {
    "FREQUENCY_LIMITED",
    "FREQUENCY_LIMIT_EXCEED",
    "RATELIMIT_EXCEEDED",
    "NOT_ENOUGH",
    "SERVICE_UNAVAILABLE",
}
_REFUSED_5XX = {"OPENID_MISMATCH"}
_MAX_DESCRIPTION = 127  # D3
_MAX_REASON = 80  # D5, bytes


@dataclass(frozen=True)
class PayConfig:
    """Everything that a client needs; nothing is read from the environment later."""

    base_url: str
    mchid: str
    appid: str
    serial: str
    keys: PayKeys
    timeout: tuple[float, float]


def pay_client() -> "PayClient":
    """The client of the configured merchant. Raises `WeChatNotConfigured`. No network."""
    kpay = settings.KPAY
    return _client_of(kpay.wechat, kpay.http_timeout)


@lru_cache(maxsize=2)
def _client_of(wechat: Any, timeout: tuple[float, float]) -> "PayClient":
    return PayClient(
        PayConfig(
            base_url=wechat.pay_base,
            mchid=wechat.mchid,
            appid=wechat.mp_appid,
            serial=wechat.mch_serial.upper(),
            keys=load_keys(wechat),
            timeout=timeout,
        )
    )


class PayClient:
    """One method for each thing we ask of the platform. None of them repeats a POST."""

    def __init__(self, config: PayConfig) -> None:
        self._config = config
        self._transport = Transport(config.base_url, config.timeout)

    @property
    def mchid(self) -> str:
        return self._config.mchid

    @property
    def appid(self) -> str:
        return self._config.appid

    @outside_transaction
    def jsapi_prepay(
        self,
        *,
        out_trade_no: str,
        description: str,
        amount_fen: int,
        openid: str,
        expires_at: datetime,
        notify_url: str,
        client_ip: str = "",
    ) -> str:
        """The `prepay_id` of a payment inside WeChat. The same arguments give one again.

        Raises WeChatRefused (ORDERPAID, ORDER_CLOSED, OUT_TRADE_NO_USED, …).
        """
        asked: dict[str, Any] = {
            "appid": self._config.appid,
            "mchid": self._config.mchid,
            "description": cut(description, _MAX_DESCRIPTION),
            "out_trade_no": out_trade_no,
            "time_expire": expires_at.astimezone(clock.SHOP_ZONE).isoformat(timespec="seconds"),
            "notify_url": notify_url,
            "amount": {"total": amount_fen, "currency": "CNY"},
            "payer": {"openid": openid},
        }
        if client_ip:
            asked["scene_info"] = {"payer_client_ip": client_ip}
        prepay_id = self._call("POST", f"{_ORDERS}/jsapi", asked).get("prepay_id")
        if not isinstance(prepay_id, str) or not prepay_id:
            raise WeChatUncertain(said="no prepay_id")
        return prepay_id

    def jsapi_params(self, prepay_id: str) -> dict[str, str]:
        """What `wx.requestPayment` takes (D3), signed with the merchant's key. No network."""
        stamp, nonce = str(int(clock.timestamp())), secrets.token_hex(16)
        package = f"prepay_id={prepay_id}"
        message = f"{self._config.appid}\n{stamp}\n{nonce}\n{package}\n"
        return {
            "timeStamp": stamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": rsa_sign(self._config.keys.merchant, message),
        }

    @outside_transaction
    def query(self, out_trade_no: str) -> PayResult | None:
        """The transaction now, None when the platform does not know the number."""
        path = f"{_ORDERS}/out-trade-no/{out_trade_no}?mchid={self._config.mchid}"
        data = self._find(path, absent="ORDER_NOT_EXIST")
        if data is None:
            return None
        result = _typed(PayResult, data)
        if result.out_trade_no != out_trade_no:
            raise WeChatUncertain(said="answer for another number")
        return result

    @outside_transaction
    def close(self, out_trade_no: str) -> None:
        """Nobody can pay this number any more. Raises WeChatRefused (ORDERPAID) when paid.

        A number that the platform does not know, or has closed, counts as closed.
        """
        path = f"{_ORDERS}/out-trade-no/{out_trade_no}/close"
        try:
            self._call("POST", path, {"mchid": self._config.mchid})
        except WeChatRefused as refused:
            if refused.wechat_code not in {"ORDER_NOT_EXIST", "ORDER_CLOSED"}:
                raise

    @outside_transaction
    def refund_create(
        self,
        *,
        out_refund_no: str,
        out_trade_no: str,
        refund_fen: int,
        total_fen: int,
        reason: str,
        notify_url: str,
    ) -> RefundResult:
        """Ask for a refund. The same number with the same arguments is one refund."""
        asked: dict[str, Any] = {
            "out_trade_no": out_trade_no,
            "out_refund_no": out_refund_no,
            "notify_url": notify_url,
            "amount": {"refund": refund_fen, "total": total_fen, "currency": "CNY"},
        }
        if reason:
            asked["reason"] = cut(reason, _MAX_REASON)
        return _typed(RefundResult, self._call("POST", _REFUNDS, asked))

    @outside_transaction
    def refund_find(self, out_refund_no: str) -> RefundResult | None:
        """The refund now, None when the platform does not know the number."""
        data = self._find(f"{_REFUNDS}/{out_refund_no}", absent="RESOURCE_NOT_EXISTS")
        return None if data is None else _typed(RefundResult, data)

    def parse_notify(self, headers: Mapping[str, Any], body: bytes) -> Notify:
        """The notice in `body` (`headers` is request.META). Never a network call.

        Raises `WeChatForged` when it is stale, signed by an unknown key, wrongly signed, or can't
        be decrypted, `BodyTooLarge` or `InvalidInput` when it is not a notice.
        """
        return pay_signatures.open_notify(self._config.keys, headers, body)

    def _find(self, path: str, *, absent: str) -> dict[str, Any] | None:
        """GET, once more when the platform was away; None where it answers `absent`."""
        try:
            try:
                return self._call("GET", path)
            except (WeChatUncertain, WeChatNotNow):
                time.sleep(0.1 + secrets.randbelow(200) / 1000)
                return self._call("GET", path)
        except WeChatRefused as refused:
            if refused.wechat_code == absent:
                return None
            raise

    def _call(self, method: str, path: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
        body = b"" if asked is None else orjson.dumps(asked)
        headers = {
            "Authorization": self._authorization(method, path, body),
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "kpay",
        }
        if self._config.keys.public_key_id:
            # Chooses the key that signs the answer (D1).
            headers["Wechatpay-Serial"] = self._config.keys.public_key_id
        answer = self._transport.send(method, path, headers=headers, body=body or None)
        if not 200 <= answer.status < 300:
            self._refuse(answer)
        self._believe(answer)
        return _object(answer.body)

    def _authorization(self, method: str, path: str, body: bytes) -> str:
        stamp, nonce = str(int(clock.timestamp())), secrets.token_hex(16)
        message = f"{method}\n{path}\n{stamp}\n{nonce}\n{body.decode()}\n"
        signature = rsa_sign(self._config.keys.merchant, message)
        return (
            f'{_SCHEMA} mchid="{self._config.mchid}",nonce_str="{nonce}",timestamp="{stamp}",'
            f'serial_no="{self._config.serial}",signature="{signature}"'
        )

    def _believe(self, answer: Answer) -> None:
        """An answer without a valid signature proves nothing, yet the deed may be done."""
        try:
            pay_signatures.check(self._config.keys, answer.headers, answer.body)
        except WeChatForged as forged:
            raise WeChatUncertain(said=f"answer not verified: {forged.said}") from forged

    def _refuse(self, answer: Answer) -> NoReturn:
        """Branch on the code, not on the status (D6). Gateways may leave errors unsigned."""
        if answer.headers.get("Wechatpay-Signature"):
            self._believe(answer)
        code, said = _error_of(answer)
        raise _failure(answer.status, code, said)


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, never half a character."""
    return text.encode()[:size].decode(errors="ignore")


def _failure(status: int, code: str, said: str) -> WeChatError:
    if code in _LATER or status == 429:
        return WeChatNotNow(code or "429", said)
    if code in _UNCERTAIN or status < 400 or (status >= 500 and code not in _REFUSED_5XX):
        return WeChatUncertain(code or str(status), said)
    return WeChatRefused(code or f"HTTP_{status}", said)


def _error_of(answer: Answer) -> tuple[str, str]:
    try:
        data = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(data, dict):
        return "", ""
    return str(data.get("code") or ""), str(data.get("message") or "")


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a verified answer; {} for 204."""
    if not body:
        return {}
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WeChatUncertain(said="answer is not JSON") from error
    if not isinstance(data, dict):
        raise WeChatUncertain(said="answer is not an object")
    return data


def _typed(kind: type[R], data: dict[str, Any]) -> R:
    try:
        return kind.parse(data)
    except InvalidInput as error:
        raise WeChatUncertain(said="answer has a wrong shape") from error
