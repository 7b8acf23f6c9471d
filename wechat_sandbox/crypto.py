"""Signatures and encryption of WeChat Pay v3 (`wechat.md` D1, D2)."""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechat_sandbox.wire import Json

SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"


def rsa_sign(key: RSAPrivateKey, message: bytes) -> str:
    """SHA256withRSA, PKCS#1 v1.5, base64."""
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def rsa_verifies(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        key.verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def opened(key: RSAPrivateKey, text: str) -> str:
    """A sensitive field (D1): RSA-OAEP with SHA-1, base64; ValueError when it does not open."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    return key.decrypt(base64.b64decode(text, validate=True), oaep).decode("utf-8")


def sealed(plain: bytes, *, key: str, associated_data: str) -> Json:
    """AEAD_AES_256_GCM fields; the last 16 bytes of the ciphertext are the tag."""
    nonce = secrets.token_hex(6)
    box = AESGCM(key.encode()).encrypt(nonce.encode(), plain, associated_data.encode())
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(box).decode(),
        "associated_data": associated_data,
        "nonce": nonce,
    }
