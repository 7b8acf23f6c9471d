"""Pure rules about names, addresses and years."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

NICKNAME_LONGEST = 32
YOUNGEST = 6
OLDEST = 120
# Joins an emoji's parts; every other format character may hide or reorder text.
_JOINER = "\u200d"
_SPACE = re.compile(r"\s+")
INTEREST = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def clean_name(text: str) -> str:
    """`text` without markup brackets, control, format and unassigned characters, in one line.

    Combining marks are kept, at most two in a row, so that a name can't tower over its line.
    """
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if category == "Mn" and char not in "\ufe0e\ufe0f":
            marks += 1
            if marks > 2:
                continue
        else:
            marks = 0
        if char in "<>" or (category[0] == "C" and char != _JOINER):
            kept.append(" " if char in "\t\r\n" else "")
        else:
            kept.append(char)
    return _SPACE.sub(" ", "".join(kept)).strip(f" {_JOINER}")


def client_address(meta: Mapping[str, Any], proxy_hops: int) -> str:
    """The caller's address, as the outermost of our own `proxy_hops` proxies saw it."""
    if proxy_hops > 0:
        chain = [part.strip() for part in str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
        if len(chain) >= proxy_hops and chain[-proxy_hops]:
            return chain[-proxy_hops][:64]
    return str(meta.get("REMOTE_ADDR", ""))[:64]


def masked(openid: str) -> str:
    """An openid that an operator can tell apart, but not use."""
    return f"{openid[:4]}…{openid[-4:]}" if len(openid) > 8 else "…"
