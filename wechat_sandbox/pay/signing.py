"""Requests are verified (D1), answers and notifies are signed (D2)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from wechat_sandbox.crypto import SIGNATURE_TYPE, rsa_sign, rsa_verifies
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import PayError, Request

MAX_SKEW_SECONDS = 300
_FIELD = re.compile(r'([a-z_]+)="([^"]*)"')
_WANTED = ("mchid", "nonce_str", "timestamp", "serial_no", "signature")


def verify_request(sandbox: Sandbox, request: Request) -> None:
    """Raises 401 SIGN_ERROR unless the merchant signed exactly these bytes just now."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme != SIGNATURE_TYPE:
        raise _refused(f"Http头Authorization认证类型不正确，需为{SIGNATURE_TYPE}")
    given = dict(_FIELD.findall(rest))
    missing = [name for name in _WANTED if not given.get(name)]
    if missing:
        raise _refused(f"Http头Authorization缺少{','.join(missing)}")
    if given["mchid"] != sandbox.identity.mchid:
        raise _refused("商户号不存在或与证书不匹配")
    if given["serial_no"] != sandbox.identity.merchant_serial:
        raise _refused("商户证书序列号有误")
    if not given["timestamp"].isascii() or not given["timestamp"].isdigit():
        raise _refused("Http头Authorization中的timestamp不是整数")
    skew = _signing_time(sandbox) - int(given["timestamp"])
    if abs(skew) >= MAX_SKEW_SECONDS:
        raise _refused(f"Http头Authorization中的timestamp与发起请求的时间相差{round(skew)}秒")
    message = b"%s\n%s\n%s\n%s\n%s\n" % (
        request.method.encode(),
        request.target.encode(),
        given["timestamp"].encode(),
        given["nonce_str"].encode(),
        request.body,
    )
    if not rsa_verifies(sandbox.identity.merchant_public_key, message, given["signature"]):
        raise _refused("错误的签名，验签失败")
    if not request.headers.get("accept") or not request.headers.get("user-agent"):
        raise PayError(400, "PARAM_ERROR", "Http头缺少Accept或User-Agent")


def answer_headers(
    sandbox: Sandbox, body: bytes, *, serial: str | None, tamper: str = ""
) -> dict[str, str]:
    """Headers that sign `body`. `serial` chooses the key; `tamper` spoils the signature."""
    signing = sandbox.state.settings.signing
    if serial not in {sandbox.identity.public_key_id, sandbox.identity.certificate_serial}:
        serial = None
    if serial is None:
        by_certificate = signing == "certificate" or (
            signing == "mixed" and sandbox.random.random() < 0.5
        )
        serial = (
            sandbox.identity.certificate_serial
            if by_certificate
            else sandbox.identity.public_key_id
        )
    moment = int(_signing_time(sandbox))
    if tamper == "stale_timestamp":
        moment -= 2 * MAX_SKEW_SECONDS
    nonce = secrets.token_hex(16)
    message = b"%d\n%s\n%s\n" % (moment, nonce.encode(), body)
    signature = rsa_sign(_key(sandbox, serial), message + _spoiled(tamper))
    if tamper == "signtest":
        signature = "WECHATPAY/SIGNTEST/" + signature[19:]
    if tamper == "unknown_serial":
        serial = _unknown_serial()
    return {
        "Wechatpay-Timestamp": str(moment),
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": signature,
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature-Type": SIGNATURE_TYPE,
        "Request-ID": secrets.token_hex(16).upper(),
    }


def wanted_serial(sandbox: Sandbox, path: str, headers: Mapping[str, str]) -> str | None:
    """Answers follow the request's Wechatpay-Serial; certificates vouch for themselves."""
    if path == "/v3/certificates":
        return sandbox.identity.certificate_serial
    return headers.get("wechatpay-serial")


def _signing_time(sandbox: Sandbox) -> float:
    """`skew_seconds` makes the platform's signing clock run off."""
    return sandbox.clock.wire() + sandbox.state.settings.skew_seconds


def _key(sandbox: Sandbox, serial: str) -> RSAPrivateKey:
    if serial == sandbox.identity.certificate_serial:
        return sandbox.identity.certificate_signer
    return sandbox.identity.public_key_signer


def _spoiled(tamper: str) -> bytes:
    """A signature over other bytes has the right form and never verifies."""
    return b"x" if tamper in {"bad_signature", "signtest"} else b""


def _unknown_serial() -> str:
    """A certificate serial or a public key id that nobody ever published."""
    if secrets.randbelow(2):
        return secrets.token_hex(20).upper()
    return "PUB_KEY_ID_" + "".join(secrets.choice("0123456789") for _ in range(30))


def _refused(message: str) -> PayError:
    error = PayError(401, "SIGN_ERROR", message)
    error.detail = {"issue": "sign not match", "field": "signature", "location": "authorization"}
    return error
