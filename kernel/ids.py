"""Numbers and tokens that we make."""

import hashlib
import secrets
from datetime import UTC

from kernel import clock


def new_no() -> str:
    """A business number: 24 digits, ordered by time, not guessable from its neighbour.

    14 digits of UTC time and 10 random ones; fits WeChat's out_trade_no and out_refund_no
    (6–32 and ≤ 64 characters, `wechat.md` D3, D5).
    """
    at = clock.now().astimezone(UTC)
    return f"{at:%Y%m%d%H%M%S}{secrets.randbelow(10**10):010d}"


def new_token() -> str:
    """256 random bits, URL-safe, 43 characters."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored instead of a token. Tokens are full-entropy, so plain SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()
