"""Throw-away identities on disk: keys, certificates, appids and the product's settings."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.x509.oid import NameOID

_FORMAT = 1


@dataclass(frozen=True)
class Account:
    """A mini-program ("mp") or an official account ("oa")."""

    kind: str
    appid: str
    secret: str
    token: str
    aes_key: str  # EncodingAESKey, 43 characters
    original_id: str  # gh_…, ToUserName of pushes


@dataclass(frozen=True)
class Identity:
    """All that the platform and its one merchant know of each other."""

    directory: Path
    mp: Account
    oa: Account
    mchid: str
    merchant_serial: str
    merchant_public_key: RSAPublicKey
    apiv3_key: str
    apiv2_key: str
    public_key_id: str
    public_key_signer: RSAPrivateKey
    certificate_serial: str
    certificate_signer: RSAPrivateKey
    certificate_pem: str
    certificate_from: datetime
    certificate_until: datetime
    xpay_offer_id: str
    xpay_app_key: str  # of the live environment
    xpay_app_key_sandbox: str

    def account(self, kind: str) -> Account | None:
        return {"mp": self.mp, "oa": self.oa}.get(kind)

    def account_of(self, appid: str) -> Account | None:
        return next((a for a in (self.mp, self.oa) if a.appid == appid), None)

    def environment(self, base_url: str) -> dict[str, str]:
        """The product's settings (`contract.md` section 7) that point it at this sandbox."""
        values = {
            "KPAY_WECHAT_API_BASE": base_url,
            "KPAY_WECHAT_PAY_BASE": base_url,
        }
        for account in (self.mp, self.oa):
            prefix = f"KPAY_WECHAT_{account.kind.upper()}"
            values[f"{prefix}_APPID"] = account.appid
            values[f"{prefix}_SECRET"] = account.secret
            values[f"{prefix}_TOKEN"] = account.token
            values[f"{prefix}_AES_KEY"] = account.aes_key
        values |= {
            "KPAY_WECHAT_MCHID": self.mchid,
            "KPAY_WECHAT_MCH_SERIAL": self.merchant_serial,
            "KPAY_WECHAT_MCH_KEY_FILE": str(self.directory / "merchant_private_key.pem"),
            "KPAY_WECHAT_APIV3_KEY": self.apiv3_key,
            "KPAY_WECHAT_APIV2_KEY": self.apiv2_key,
            "KPAY_WECHAT_PAY_PUBLIC_KEY_ID": self.public_key_id,
            "KPAY_WECHAT_PAY_PUBLIC_KEY_FILE": str(self.directory / "platform_public_key.pem"),
            "KPAY_WECHAT_PAY_CERT_DIR": str(self.directory / "platform_certificates"),
            "KPAY_XPAY_OFFER_ID": self.xpay_offer_id,
            "KPAY_XPAY_APP_KEY": self.xpay_app_key,
            "KPAY_XPAY_APP_KEY_SANDBOX": self.xpay_app_key_sandbox,
            "KPAY_XPAY_ENV": "0",
        }
        return values

    def write_environment(self, base_url: str) -> Path:
        """`sandbox.env` for this address; it holds secrets, so it is private."""
        path = self.directory / "sandbox.env"
        lines = (f"{name}={_quoted(value)}\n" for name, value in self.environment(base_url).items())
        _write_private(path, "".join(lines).encode())
        return path


def load_identity(directory: Path) -> Identity:
    """The identity kept in `directory`, made there first when it is missing.

    A half-made directory is made anew: `identity.json` is written last. One of before virtual
    payment gets its credentials added.
    """
    directory = directory.resolve()
    record = directory / "identity.json"
    if not record.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _make(directory)
    data: dict[str, Any] = json.loads(record.read_text())
    if "xpay_offer_id" not in data:
        data |= _new_xpay()
        _write_private(record, json.dumps(data, indent=2).encode())
    certificate = x509.load_pem_x509_certificate(
        (directory / "platform_certificate.pem").read_bytes()
    )
    return Identity(
        directory=directory,
        mp=Account(**data["mp"]),
        oa=Account(**data["oa"]),
        mchid=data["mchid"],
        merchant_serial=data["merchant_serial"],
        merchant_public_key=_private_key(directory / "merchant_private_key.pem").public_key(),
        apiv3_key=data["apiv3_key"],
        apiv2_key=data["apiv2_key"],
        public_key_id=data["public_key_id"],
        public_key_signer=_private_key(directory / "platform_private_key.pem"),
        certificate_serial=_serial_text(certificate),
        certificate_signer=_private_key(directory / "platform_certificate_key.pem"),
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        certificate_from=certificate.not_valid_before_utc,
        certificate_until=certificate.not_valid_after_utc,
        xpay_offer_id=data["xpay_offer_id"],
        xpay_app_key=data["xpay_app_key"],
        xpay_app_key_sandbox=data["xpay_app_key_sandbox"],
    )


def _make(directory: Path) -> None:
    merchant_key = _new_key(directory / "merchant_private_key.pem")
    merchant = _certificate(merchant_key, "KPay sandbox merchant")
    _write_public(directory / "merchant_certificate.pem", _pem(merchant))
    _write_public(directory / "merchant_serial.txt", _serial_text(merchant).encode())

    platform_key = _new_key(directory / "platform_private_key.pem")
    public_key_id = "PUB_KEY_ID_" + "01" + "".join(secrets.choice("0123456789") for _ in range(28))
    _write_public(
        directory / "platform_public_key.pem",
        platform_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )
    _write_public(directory / "platform_public_key_id.txt", public_key_id.encode())

    certificate_key = _new_key(directory / "platform_certificate_key.pem")
    certificate = _certificate(certificate_key, "Tenpay.com sandbox")
    _write_public(directory / "platform_certificate.pem", _pem(certificate))
    certificates = directory / "platform_certificates"
    certificates.mkdir(exist_ok=True)
    _write_public(certificates / f"{_serial_text(certificate)}.pem", _pem(certificate))

    data = {
        "format": _FORMAT,
        "mp": _new_account("mp"),
        "oa": _new_account("oa"),
        "mchid": "19" + "".join(secrets.choice("0123456789") for _ in range(8)),
        "merchant_serial": _serial_text(merchant),
        "apiv3_key": secrets.token_hex(16),
        "apiv2_key": secrets.token_hex(16),
        "public_key_id": public_key_id,
        **_new_xpay(),
    }
    _write_private(directory / "identity.json", json.dumps(data, indent=2).encode())


def _new_account(kind: str) -> dict[str, str]:
    return {
        "kind": kind,
        "appid": "wx" + secrets.token_hex(8),
        "secret": secrets.token_hex(16),
        "token": secrets.token_hex(12),
        "aes_key": _new_aes_key(),
        "original_id": "gh_" + secrets.token_hex(6),
    }


def _new_xpay() -> dict[str, str]:
    """Virtual payment: the offer, and one key for each environment (`wechat.md` B2)."""
    return {
        "xpay_offer_id": "145" + "".join(secrets.choice("0123456789") for _ in range(7)),
        "xpay_app_key": secrets.token_urlsafe(24),
        "xpay_app_key_sandbox": secrets.token_urlsafe(24),
    }


def _new_aes_key() -> str:
    """43 letters and digits that stand for 32 bytes."""
    while True:
        text = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        if text.isalnum():
            return text


def _new_key(path: Path) -> RSAPrivateKey:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    _write_private(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return key


def _private_key(path: Path) -> RSAPrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{path} holds no RSA key")
    return key


def _certificate(key: RSAPrivateKey, name: str) -> x509.Certificate:
    """Self-signed, five years (D2), with a serial of 40 hex digits."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.now(UTC) - timedelta(days=1)
    serial = int("5" + secrets.token_hex(20)[1:], 16)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=5 * 365))
        .sign(key, hashes.SHA256())
    )


def _serial_text(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:040X}"


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _quoted(value: str) -> str:
    return f'"{value}"' if any(c.isspace() for c in value) else value


def _write_public(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _write_private(path: Path, content: bytes) -> None:
    """Mode 0600 from the first byte, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
