"""Message server cryptography: WXBizMsgCrypt as the platform runs it (`wechat.md` C1, C2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

_BLOCK = 32


class UnreadableReplyError(ValueError):
    """The product's encrypted reply does not open as the platform would open it."""


def signature(*parts: str) -> str:
    """SHA-1 over the sorted parts: (token, timestamp, nonce[, encrypted])."""
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


def encrypt(message: bytes, *, aes_key: str, appid: str) -> str:
    """random(16) | length(4, big-endian) | message | appid, AES-256-CBC, base64."""
    key = base64.b64decode(aes_key + "=")
    plain = secrets.token_bytes(16) + struct.pack(">I", len(message)) + message + appid.encode()
    pad = _BLOCK - len(plain) % _BLOCK
    writer = Cipher(AES(key), CBC(key[:16])).encryptor()
    box = writer.update(plain + bytes([pad]) * pad) + writer.finalize()
    return base64.b64encode(box).decode()


def decrypt(box: str, *, aes_key: str, appid: str) -> bytes:
    """The message inside; UnreadableReplyError when padding, length or appid do not fit."""
    key = base64.b64decode(aes_key + "=")
    try:
        raw = base64.b64decode(box, validate=True)
        reader = Cipher(AES(key), CBC(key[:16])).decryptor()
        plain = reader.update(raw) + reader.finalize()
    except ValueError as error:
        raise UnreadableReplyError(f"not AES-256-CBC in base64: {error}") from error
    pad = plain[-1] if plain else 0
    if not 1 <= pad <= _BLOCK:
        raise UnreadableReplyError("wrong padding")
    plain = plain[:-pad]
    if len(plain) < 20:
        raise UnreadableReplyError("too short")
    (size,) = struct.unpack(">I", plain[16:20])
    message, owner = plain[20 : 20 + size], plain[20 + size :]
    if len(message) != size or not hmac.compare_digest(owner, appid.encode()):
        raise UnreadableReplyError("wrong length or appid")
    return message
