"""Who signed this: WeChat Pay's keys by serial, freshness, and the sealed resource (D1, D2)."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from wechatpayv3.utils import aes_decrypt, rsa_verify

from kernel import clock
from kernel.errors import BodyTooLarge, InvalidInput
from kernel.wire.codecs import loads_object
from wechat.errors import WeChatForged, WeChatNotConfigured
from wechat.pay_results import Notify, moment

# D2: the official SDK refuses when abs(now - timestamp) >= 300 s.
FRESH_SECONDS = 300
MAX_NOTIFY = 64 * 1024
_SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"


@dataclass(frozen=True)
class PayKeys:
    """The merchant's private key, the APIv3 key and every platform key that we trust."""

    merchant: RSAPrivateKey
    apiv3_key: str = field(repr=False)
    public_key_id: str = ""
    public_key: RSAPublicKey | None = None
    # serial (upper hex) → certificate; more than one lives during a rotation
    certificates: Mapping[str, x509.Certificate] = field(default_factory=dict)

    def sealing(self) -> tuple[str, RSAPublicKey]:
        """The key that the platform opens secrets with, after its name (D1)."""
        if self.public_key is not None:
            return self.public_key_id, self.public_key
        for serial in self.certificates:
            key = self.by_serial(serial)
            if key is not None:
                return serial.zfill(40), key
        raise WeChatNotConfigured(said="every platform certificate has expired")

    def by_serial(self, serial: str) -> RSAPublicKey | None:
        """The trusted, living key of a serial, else None. Never a network call."""
        if self.public_key is not None and serial == self.public_key_id:
            return self.public_key
        certificate = self.certificates.get(serial.upper().lstrip("0"))
        if certificate is None:
            return None
        alive = certificate.not_valid_before_utc <= clock.now() <= certificate.not_valid_after_utc
        key = certificate.public_key()
        return key if alive and isinstance(key, RSAPublicKey) else None


def load_keys(wechat: Any) -> PayKeys:
    """Keys from the files that the settings name. Raises `WeChatNotConfigured`."""
    try:
        merchant = load_pem_private_key(Path(wechat.mch_key_file).read_bytes(), password=None)
        public = (
            load_pem_public_key(Path(wechat.pay_public_key_file).read_bytes())
            if wechat.pay_public_key_id and wechat.pay_public_key_file
            else None
        )
        certificates = _certificates(wechat.pay_cert_dir)
    except (OSError, ValueError) as error:
        raise WeChatNotConfigured(said=f"keys: {type(error).__name__}") from error
    if not isinstance(merchant, RSAPrivateKey) or not (public or certificates):
        raise WeChatNotConfigured(said="keys are missing or not RSA")
    if public is not None and not isinstance(public, RSAPublicKey):
        raise WeChatNotConfigured(said="the platform's public key is not RSA")
    if len(wechat.apiv3_key.encode()) != 32 or not wechat.mchid or not wechat.mch_serial:
        raise WeChatNotConfigured(said="merchant settings are incomplete")
    return PayKeys(
        merchant=merchant,
        apiv3_key=wechat.apiv3_key,
        public_key_id=wechat.pay_public_key_id if public else "",
        public_key=public,
        certificates=certificates,
    )


def _certificates(folder: str) -> dict[str, x509.Certificate]:
    if not folder:
        return {}
    found = [
        x509.load_pem_x509_certificate(path.read_bytes())
        for path in sorted(Path(folder).glob("*.pem"))
    ]
    return {format(certificate.serial_number, "X"): certificate for certificate in found}


def check(keys: PayKeys, headers: Mapping[str, Any], body: bytes) -> None:
    """`body` was signed within 300 s by a key that we trust, else `WeChatForged`.

    `headers` may be request.META or an answer's headers. An absent Signature-Type means RSA.
    """
    stamp = _header(headers, "Timestamp")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise WeChatForged(said="no timestamp")
    if abs(clock.timestamp() - int(stamp)) >= FRESH_SECONDS:
        raise WeChatForged(said="stale")
    if _header(headers, "Signature-Type") not in {"", _SIGNATURE_TYPE}:
        raise WeChatForged(said="unknown signature type")
    key = keys.by_serial(_header(headers, "Serial"))
    if key is None:
        raise WeChatForged(said="unknown serial")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise WeChatForged(said="not UTF-8") from error
    nonce, signature = _header(headers, "Nonce"), _header(headers, "Signature")
    if not nonce or not _canonical(signature):
        raise WeChatForged(said="wrong signature")
    if not rsa_verify(stamp, nonce, text, signature, key):
        raise WeChatForged(said="wrong signature")


def _canonical(signature: str) -> bool:
    """Base64 that only one text stands for: Python's decoder ignores what follows the padding."""
    try:
        return base64.b64encode(base64.b64decode(signature, validate=True)).decode() == signature
    except (binascii.Error, ValueError):
        return False


def open_notify(keys: PayKeys, headers: Mapping[str, Any], body: bytes) -> Notify:
    """A verified notice with its resource decrypted; see `PayClient.parse_notify`."""
    if len(body) > MAX_NOTIFY:
        raise BodyTooLarge
    if not _header(headers, "Signature-Type"):
        raise WeChatForged(said="no signature type")  # the platform always names it (D2)
    check(keys, headers, body)
    envelope = loads_object(body)
    resource = envelope.get("resource")
    notify_id, event_type = envelope.get("id"), envelope.get("event_type")
    if (
        not isinstance(resource, dict)
        or not isinstance(notify_id, str)
        or not isinstance(event_type, str)
        or not 0 < len(notify_id) <= 64
        or len(event_type) > 64
    ):
        raise InvalidInput
    return Notify(
        id=notify_id,
        event_type=event_type,
        created_at=moment(str(envelope.get("create_time") or "")),
        resource=_unseal(keys.apiv3_key, resource),
        raw_body=body,
    )


def _unseal(apiv3_key: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    """The object inside an AEAD_AES_256_GCM resource. Raises `WeChatForged`."""
    if resource.get("algorithm") != "AEAD_AES_256_GCM":
        raise WeChatForged(said="unknown algorithm")
    parts = [resource.get(name) or "" for name in ("nonce", "ciphertext", "associated_data")]
    if not all(isinstance(part, str) for part in parts):
        raise InvalidInput
    nonce, ciphertext, associated = parts
    try:
        plain = aes_decrypt(nonce, ciphertext, associated, apiv3_key)
    except (binascii.Error, ValueError) as error:
        raise WeChatForged(said="resource can't be decrypted") from error
    if not plain:
        raise WeChatForged(said="resource can't be decrypted")
    return loads_object(plain.encode())


def _header(headers: Mapping[str, Any], name: str) -> str:
    """`Wechatpay-<name>` from request.META or from plain headers; "" when absent."""
    meta = f"HTTP_WECHATPAY_{name.upper().replace('-', '_')}"
    plain = f"Wechatpay-{name}"
    for key in (meta, plain, plain.lower()):
        value = headers.get(key)
        if isinstance(value, str):
            return value
    return ""
