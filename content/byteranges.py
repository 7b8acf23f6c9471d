"""One byte range of a file (RFC 9110 section 14), which players need to seek."""

import re
from collections.abc import Iterator
from pathlib import Path

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
CHUNK = 64 * 1024


class RangeRefused(ValueError):
    """The range lies outside the file (status 416)."""


def wanted(header: str, size: int) -> tuple[int, int] | None:
    """(first byte, length) that `header` asks of `size` bytes; None: send the whole file.

    Several ranges and unknown units are answered with the whole file, as the RFC allows.
    Raises `RangeRefused`.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if not first:  # the last n bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= size or start >= end:
        raise RangeRefused
    return start, end - start


def chunks(path: Path, start: int, length: int) -> Iterator[bytes]:
    """`length` bytes of the file from `start`, in pieces; the file is closed at the end."""
    with path.open("rb") as file:
        file.seek(start)
        while length > 0:
            piece = file.read(min(CHUNK, length))
            if not piece:
                return
            length -= len(piece)
            yield piece
