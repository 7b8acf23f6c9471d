"""Encrypted columns: AES-256-GCM with a key id, so that keys can be rotated."""

import base64
import secrets

from django.conf import settings

_NONCE = 12


class Undecryptable(ValueError):
    """The text was not made by any key we hold, or belongs to another context."""


def encrypt(plain: str, *, context: str) -> str:
    """`key id:base64(nonce + ciphertext)` under the newest key; `context` is authenticated."""
    # here, not at the top: 8 MB that a worker which only serves feeds need not hold
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    key_id, key = settings.KPAY.field_keys[0]
    nonce = secrets.token_bytes(_NONCE)
    sealed = AESGCM(key).encrypt(nonce, plain.encode(), context.encode())
    return f"{key_id}:{base64.b64encode(nonce + sealed).decode()}"


def decrypt(cipher: str, *, context: str) -> str:
    """The text that `encrypt` was given. Raises `Undecryptable`."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  (as in `encrypt`)
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    key_id, _, body = cipher.partition(":")
    for known_id, key in settings.KPAY.field_keys:
        if known_id == key_id:
            raw = base64.b64decode(body)
            try:
                return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], context.encode()).decode()
            except InvalidTag as error:
                raise Undecryptable(context) from error
    raise Undecryptable(context)
