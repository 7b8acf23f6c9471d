"""A bill's file: unpacked in pieces, cut into lines, its rows compared with its own summary.

The file is kept packed and read as it is walked, so a day of any size fits into memory.
"""

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Generic, TypeVar

from wechat.errors import WeChatBillWrong
from wechat.pay_bills.rows import Row, exact_fen_of

R = TypeVar("R", bound=Row)

_MAX_FILE = 512 * 1024 * 1024
_MAX_LINE = 64 * 1024
_CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_CENT = Decimal(1)
_PIECES = "笔数"  # such columns count; they are read like yuan, so times 100


@dataclass(frozen=True)
class Bill(Generic[R]):
    """Rows of one file, whose sums were right. Walk it as often as you like."""

    kind: type[R]
    count: int
    _content: bytes = field(repr=False, default=b"")

    def __iter__(self) -> Iterator[R]:
        return _rows(self._content, self.kind) if self.count else iter(())


def read_bill(content: bytes, kind: type[R]) -> Bill[R]:
    """A bill from its file, packed or not. Raises `WeChatBillWrong`."""
    return Bill(kind, sum(1 for _row in _rows(content, kind)), content)


def sha1_of(content: bytes) -> str:
    """Of the unpacked file, as hex; "" for one that can't be unpacked."""
    digest = hashlib.sha1(usedforsecurity=False)
    try:
        for piece in _unpacked(content):
            digest.update(piece)
    except WeChatBillWrong:
        return ""
    return digest.hexdigest()


def _unpacked(content: bytes) -> Iterator[bytes]:
    """The file in pieces, of at most 512 MB together."""
    if not content.startswith(_GZIP):
        yield from (content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK))
        return
    engine, rest, size = zlib.decompressobj(wbits=31), content, 0
    while not engine.eof:
        try:
            piece = engine.decompress(rest, _CHUNK)
        except zlib.error as error:
            raise WeChatBillWrong(said="can't be unpacked") from error
        rest = engine.unconsumed_tail
        size += len(piece)
        if size > _MAX_FILE or not (piece or rest or engine.eof):
            raise WeChatBillWrong(said="cut short, or too large")
        yield piece


def _lines(content: bytes) -> Iterator[str]:
    """Lines without their ends; empty ones are left out."""
    kept, is_first = b"", True
    for piece in _unpacked(content):
        *whole, kept = (kept + piece).split(b"\n")
        if is_first and whole:
            whole[0], is_first = whole[0].removeprefix(_BOM), False
        if len(kept) > _MAX_LINE:
            raise WeChatBillWrong(said="a line without an end")
        yield from filter(None, map(_text, whole))
    if kept:
        yield _text(kept)


def _text(line: bytes) -> str:
    try:
        return line.rstrip(b"\r").decode()
    except UnicodeDecodeError as error:
        raise WeChatBillWrong(said="not UTF-8") from error


def _rows(content: bytes, kind: type[R]) -> Iterator[R]:
    """Rows, and after the last one the comparison with the summary."""
    lines = _lines(content)
    names = next(lines, "").split(",")
    if not kind.needed <= set(names):
        raise WeChatBillWrong(said="other columns than expected")
    sums: dict[str, int | Decimal] = dict.fromkeys(kind.summed, 0)
    for count, line in enumerate(lines):
        if not line.startswith("`"):
            _check_summary(kind, line.split(","), list(lines), count, sums)
            return
        row = kind.parse(_cells(names, line))
        for name, amount in row.sums().items():
            sums[name] += amount
        yield row
    raise WeChatBillWrong(said="no summary")


def _check_summary(
    kind: type[Row],
    names: list[str],
    lines: list[str],
    count: int,
    sums: Mapping[str, int | Decimal],
) -> None:
    if len(lines) != 1:
        raise WeChatBillWrong(said="the summary is not one line")
    told = _cells(names, lines[0])
    if not {kind.counted, *sums} <= told.keys():
        raise WeChatBillWrong(said="other columns in the summary than expected")
    if exact_fen_of(told[kind.counted]) != count * 100:
        raise WeChatBillWrong(said="the summary counts other rows")
    for name, summed in sums.items():
        right = Decimal(summed * 100 if name.endswith(_PIECES) else summed)
        # Fees have five decimals in rows; their sum may be shown with two.
        if exact_fen_of(told[name]) not in {right, right.quantize(_CENT, ROUND_HALF_UP)}:
            raise WeChatBillWrong(said=f"the summary has another {name}")


def _cells(names: list[str], line: str) -> dict[str, str]:
    """Values by column. Only a comma before a backtick parts two values: names hold commas."""
    values = line.removeprefix("`").split(",`")
    if len(values) != len(names):
        raise WeChatBillWrong(said="a row of another length")
    return dict(zip(names, map(str.strip, values), strict=True))
