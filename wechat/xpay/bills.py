"""The file of virtual payment's bill, row by row.

What `download_bill` gives is not published. Live shops were seen to get a workbook with one line
for each day of settlement and no orders in it (`SettlementOnly`); a text with a line for each
payment and refund, as read here, is what reconciliation needs. Amounts are fen in it.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from wechat.errors import WeChatBillWrong, WeChatUncertain
from wechat.transport import Transport

_MAX_FILE = 32 * 1024 * 1024
_SECONDS = 60.0
_WORKBOOK = b"PK\x03\x04"
# Files lie on hosts of the platform's company; the configured host is the sandbox's in tests.
_HOSTS = (".qq.com", ".myqcloud.com")
_NEEDED = frozenset(
    {
        "row_type", "order_id", "wx_order_id", "refund_order_id", "refund_wx_order_id", "openid",
        "product_id", "quantity", "channel", "status", "order_fee_fen", "paid_fee_fen",
        "refund_fee_fen", "platform_fee_fen", "time",
    }
)  # fmt: skip


class SettlementOnly(WeChatBillWrong):
    """The bill is a workbook of daily settlements: nothing to compare orders with."""


@dataclass(frozen=True)
class VirtualBillRow:
    """A payment, or a refund that has ended. The fee that came back with a refund is negative."""

    at: datetime
    is_refund: bool
    out_trade_no: str
    wx_order_id: str
    out_refund_no: str
    wx_refund_id: str
    openid: str
    product_id: str
    quantity: int
    is_apple: bool
    status: str
    order_fen: int
    paid_fen: int
    refund_fen: int
    platform_fee_fen: int


def read_rows(content: bytes) -> Iterator[VirtualBillRow]:
    """Rows of a bill's file. Raises `WeChatBillWrong`, of it `SettlementOnly`."""
    if content.startswith(_WORKBOOK):
        raise SettlementOnly(said="a workbook of daily settlements")
    try:
        lines = csv.DictReader(content.decode("utf-8-sig").splitlines(), strict=True)
        if not set(lines.fieldnames or ()) >= _NEEDED:
            raise WeChatBillWrong(said="other columns than expected")
        for line in lines:
            yield _row(line)
    except (UnicodeDecodeError, csv.Error, ValueError, TypeError, KeyError) as error:
        raise WeChatBillWrong(said="can't be read") from error


def fetch_file(url: str, *, base_url: str, timeout: tuple[float, float]) -> bytes:
    """The file at an address that the platform gave. Raises `WeChatUncertain`: ask for another."""
    parts, ours = urlsplit(url), urlsplit(base_url)
    is_ours = (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc)
    host = parts.hostname or ""
    if not is_ours and not (parts.scheme == "https" and host.endswith(_HOSTS)):
        raise WeChatUncertain(said="the bill lies on a host that is not the platform's")
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    transport = Transport(f"{parts.scheme}://{parts.netloc}", timeout)
    answer = transport.send("GET", path, most=_MAX_FILE, seconds=_SECONDS)
    if answer.status != 200:
        raise WeChatUncertain(answer.status, "no bill at this address")
    return answer.body


def _row(line: Mapping[str, str]) -> VirtualBillRow:
    kind = line["row_type"]
    if kind not in {"order", "refund"}:
        raise WeChatBillWrong(said="neither order nor refund")
    at = datetime.fromisoformat(line["time"])
    if at.tzinfo is None:
        raise WeChatBillWrong(said="a time without its zone")
    return VirtualBillRow(
        at=at,
        is_refund=kind == "refund",
        out_trade_no=line["order_id"],
        wx_order_id=line["wx_order_id"],
        out_refund_no=line["refund_order_id"],
        wx_refund_id=line["refund_wx_order_id"],
        openid=line["openid"],
        product_id=line["product_id"],
        quantity=_whole(line["quantity"]),
        is_apple=line["channel"] == "apple",
        status=line["status"],
        order_fen=_whole(line["order_fee_fen"]),
        paid_fen=_whole(line["paid_fee_fen"]),
        refund_fen=_whole(line["refund_fee_fen"]),
        platform_fee_fen=_whole(line["platform_fee_fen"]),
    )


def _whole(text: str) -> int:
    """A whole number in digits, perhaps negative; nothing is 0."""
    if not text:
        return 0
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 18:
        raise WeChatBillWrong(said="not a whole number")
    return int(text)
