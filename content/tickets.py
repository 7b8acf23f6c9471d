"""Play tickets: short-lived names of a lesson's media, bound to the user who asked.

A ticket is `base64url(payload).base64url(mac)`; the payload holds the ticket's id, the user, the
lesson and the second it ends, so that a leaked address can be traced to its account without a
table. The key is derived from the secret key under a purpose of its own.
"""

import base64
import binascii
import hmac
import secrets
import struct
from dataclasses import dataclass
from hashlib import sha256

from content.errors import TicketExpired, TicketForged

_PAYLOAD = struct.Struct(">8sQQQ")
_MAC_BYTES = 32


@dataclass(frozen=True)
class Ticket:
    """`id` is 16 hex digits; `expires_at` is Unix seconds."""

    id: str
    user_id: int
    lesson_id: int
    expires_at: int


def issue(*, secret: str, user_id: int, lesson_id: int, expires_at: int) -> tuple[str, Ticket]:
    """A new ticket as text, and what it says."""
    ticket = Ticket(secrets.token_hex(8), user_id, lesson_id, expires_at)
    payload = _PAYLOAD.pack(bytes.fromhex(ticket.id), user_id, lesson_id, expires_at)
    return f"{_encode(payload)}.{_encode(_mac(secret, payload))}", ticket


def read(text: str, *, secret: str, now: float) -> Ticket:
    """The ticket in `text`. Raises `TicketForged`, or `TicketExpired` for a true but old one."""
    head, _, tail = text.partition(".")
    payload, mac = _decode(head, _PAYLOAD.size), _decode(tail, _MAC_BYTES)
    if not hmac.compare_digest(mac, _mac(secret, payload)):
        raise TicketForged
    raw_id, user_id, lesson_id, expires_at = _PAYLOAD.unpack(payload)
    if now >= expires_at:
        raise TicketExpired
    return Ticket(raw_id.hex(), user_id, lesson_id, expires_at)


def _mac(secret: str, payload: bytes) -> bytes:
    key = sha256(b"content.play-ticket:" + secret.encode()).digest()
    return hmac.digest(key, payload, "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str, size: int) -> bytes:
    if len(text) > 2 * size:
        raise TicketForged
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise TicketForged from error
    if len(raw) != size or _encode(raw) != text:  # one spelling per ticket
        raise TicketForged
    return raw
