"""Asking for a bill: an offer with a hash and an address of five minutes, then the file."""

import hmac
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from wechat.errors import WeChatRefused, WeChatUncertain
from wechat.pay_bills.reading import Bill, read_bill, sha1_of
from wechat.pay_bills.rows import Row
from wechat.pay_wire import PayWire

R = TypeVar("R", bound=Row)

_MAX_PACKED = 32 * 1024 * 1024
_SECONDS = 120.0


class _OtherFile(WeChatUncertain):
    """The file is not the one of its hash, or its address is over: a new offer may help."""


def fetch_bill(wire: PayWire, path: str, kind: type[R]) -> Bill[R]:
    """The bill that `path` offers; an empty one where the platform has no statement.

    A file that did not come whole is asked for once more, by a new offer.
    """
    try:
        return _fetched(wire, path, kind)
    except _OtherFile:
        return _fetched(wire, path, kind)


def _fetched(wire: PayWire, path: str, kind: type[R]) -> Bill[R]:
    offer = wire.find(path, absent="NO_STATEMENT_EXIST")
    if offer is None:
        return Bill(kind, 0)
    address, wanted = _offered(offer)
    try:
        content = wire.download(address, most=_MAX_PACKED, seconds=_SECONDS)
    except (WeChatUncertain, WeChatRefused) as error:
        raise _OtherFile(error.wechat_code, error.said) from error
    if not hmac.compare_digest(sha1_of(content), wanted):
        raise _OtherFile(said="the file has another hash than was told")
    return read_bill(content, kind)


def _offered(offer: Mapping[str, Any]) -> tuple[str, str]:
    """Path and hash of a file. The host is the configured one, whatever the address says."""
    url, kind, wanted = offer.get("download_url"), offer.get("hash_type"), offer.get("hash_value")
    if not isinstance(url, str) or not isinstance(wanted, str) or kind != "SHA1":
        raise WeChatUncertain(said="no address of the bill, or another kind of hash")
    parts = urlsplit(url.strip())
    if not parts.path.startswith("/") or not wanted.isascii():
        raise WeChatUncertain(said="no address of the bill")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path, wanted.lower()
