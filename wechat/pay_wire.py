"""One signed request of WeChat Pay v3, and what its answer proves (`wechat.md` D1, D2, D6)."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
from requests.utils import requote_uri
from wechatpayv3.utils import rsa_sign

from kernel import clock
from wechat import pay_signatures
from wechat.errors import WeChatError, WeChatForged, WeChatNotNow, WeChatRefused, WeChatUncertain
from wechat.pay_signatures import PayKeys
from wechat.transport import Answer, Transport

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
    "STATEMENT_CREATING",
}
_REFUSED_5XX = {"OPENID_MISMATCH"}


@dataclass(frozen=True)
class PayConfig:
    """Everything that a client needs; nothing is read from the environment later."""

    base_url: str
    mchid: str
    appid: str
    serial: str
    keys: PayKeys
    timeout: tuple[float, float]


class PayWire:
    """Requests of one merchant. Raises the errors of `wechat.errors`."""

    def __init__(self, config: PayConfig) -> None:
        self._config = config
        self._transport = Transport(config.base_url, config.timeout)

    def find(self, path: str, *, absent: str) -> dict[str, Any] | None:
        """GET, once more when the platform was away; None where it answers `absent`."""
        try:
            try:
                return self.call("GET", path)
            except (WeChatUncertain, WeChatNotNow):
                time.sleep(0.1 + secrets.randbelow(200) / 1000)
                return self.call("GET", path)
        except WeChatRefused as refused:
            if refused.wechat_code == absent:
                return None
            raise

    def call(
        self,
        method: str,
        path: str,
        asked: Mapping[str, Any] | None = None,
        *,
        sealed_for: str = "",
    ) -> dict[str, Any]:
        """One request; the object in its verified answer, {} for none.

        `sealed_for` names the key that secrets in the body are sealed with.
        """
        body = b"" if asked is None else orjson.dumps(asked)
        headers = {**self._headers(method, path, body), "Content-Type": "application/json"}
        # Without secrets it only chooses the key that signs the answer (D1).
        serial = sealed_for or self._config.keys.public_key_id
        if serial:
            headers["Wechatpay-Serial"] = serial
        answer = self._transport.send(method, path, headers=headers, body=body or None)
        if not 200 <= answer.status < 300:
            self._refuse(answer)
        self._believe(answer)
        return _object(answer.body)

    def download(self, path: str, *, most: int, seconds: float) -> bytes:
        """The bytes of a file, which carry no signature (D7): compare them with their hash."""
        path = requote_uri(path)  # what requests sends is what must be signed
        answer = self._transport.send(
            "GET", path, headers=self._headers("GET", path, b""), most=most, seconds=seconds
        )
        if answer.status != 200:
            self._refuse(answer)
        return answer.body

    def _headers(self, method: str, path: str, body: bytes) -> dict[str, str]:
        stamp, nonce = str(int(clock.timestamp())), secrets.token_hex(16)
        config = self._config
        return {
            "Authorization": authorization(
                config, method, path, body.decode(), stamp=stamp, nonce=nonce
            ),
            "Accept": "application/json",
            "User-Agent": "kpay",
        }

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


def authorization(
    config: PayConfig, method: str, path: str, body: str, *, stamp: str, nonce: str
) -> str:
    """The header that proves the merchant (D1)."""
    message = f"{method}\n{path}\n{stamp}\n{nonce}\n{body}\n"
    signature = rsa_sign(config.keys.merchant, message)
    return (
        f'{_SCHEMA} mchid="{config.mchid}",nonce_str="{nonce}",timestamp="{stamp}",'
        f'serial_no="{config.serial}",signature="{signature}"'
    )


def jsapi_signed(config: PayConfig, prepay_id: str, *, stamp: str, nonce: str) -> dict[str, str]:
    """What `wx.requestPayment` takes (D3)."""
    package = f"prepay_id={prepay_id}"
    message = f"{config.appid}\n{stamp}\n{nonce}\n{package}\n"
    return {
        "timeStamp": stamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": rsa_sign(config.keys.merchant, message),
    }


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
