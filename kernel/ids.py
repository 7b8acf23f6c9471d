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


# Crockford's: no I, L, O, U. 32 characters, so each carries 5 bits.
_READABLE = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("ILO", "110")


def new_code() -> str:
    """100 random bits that people can read out and type: four groups of five characters."""
    groups = ("".join(secrets.choice(_READABLE) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def normal_code(code: str) -> str:
    """A code as its hash is made of it: spaces and dashes do not count, nor does case."""
    return "".join(code.split()).replace("-", "").upper()


def readable_code(code: str) -> str:
    """A `new_code` as its hash is made of it: also with letters that look like its digits."""
    return normal_code(code).translate(_MISREAD)
