"""interactions.csv into columns: whole chunks at once where every row is plain, else row by row."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from recommender.core.data import KIND_CODES, MOST_VALUE, Float64
from recommender.core.errors import DatasetError

COLUMNS = ("user_id", "item_id", "event", "value", "timestamp")
CHUNK = 20_000  # lines
Refuse = Callable[[int, str], None]  # a line's number and what is wrong with it
Ids = dict[str, int]


@dataclass
class Columns:
    """What a file told so far: 21 bytes a row, and every id once."""

    users: Ids = field(default_factory=dict)
    items: Ids = field(default_factory=dict)
    user: array[int] = field(default_factory=lambda: array("i"))
    item: array[int] = field(default_factory=lambda: array("i"))
    kind: array[int] = field(default_factory=lambda: array("B"))
    value: array[float] = field(default_factory=lambda: array("f"))
    time: array[float] = field(default_factory=lambda: array("d"))
    rows: int = 0  # read, the refused ones too


def read_events(path: Path, latest: float, refuse: Refuse) -> Columns:
    """The rows of interactions.csv; those that cannot be used go to `refuse`.

    Lines are physical ones, numbered from 1; bad UTF-8 becomes surrogates and is refused.
    """
    columns = Columns()
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline().rstrip("\r\n")
        header = [name.strip().lower() for name in _split(first)] if first else []
        places = {name: header.index(name) for name in COLUMNS if name in header}
        if "user_id" not in places or "item_id" not in places:
            raise DatasetError(f"{path.name} must begin with the header {','.join(COLUMNS)}")
        where = [places.get(name, -1) for name in COLUMNS]
        number = 2
        while lines := list(islice(file, CHUNK)):
            if not _take_all(lines, len(header), where, latest, columns):
                for at, line in enumerate(lines, number):
                    _take_line(at, line, len(header), where, latest, columns, refuse)
            number += len(lines)
    return columns


def _take_all(
    lines: list[str], width: int, where: list[int], latest: float, columns: Columns
) -> bool:
    """Append all rows when every one is plain and right; else change nothing."""
    text = "".join(lines)
    if '"' in text or any(line.count(",") != width - 1 for line in lines):
        return False
    for end in ("\r\n", "\n", "\r"):
        text = text.replace(end, ",")
    cells = text.split(",")  # one flat list: a list a row would keep the garbage collector busy
    del cells[width * len(lines) :]
    blank = [""] * len(lines)
    user, item, event, value, stamp = (blank if n < 0 else cells[n::width] for n in where)
    try:
        kinds = {told: _kind(told) for told in set(event)}
        numbers = _numbers(value, -MOST_VALUE, MOST_VALUE)
        times = _numbers(stamp, 0, latest)
        new_users, new_items = _new_ids(user, columns.users), _new_ids(item, columns.items)
    except ValueError:
        return False  # row by row it comes out which, and why
    columns.users |= new_users
    columns.items |= new_items
    columns.rows += len(lines)
    columns.user.extend(array("i", map(columns.users.__getitem__, user)))
    columns.item.extend(array("i", map(columns.items.__getitem__, item)))
    columns.kind.extend(array("B", map(kinds.__getitem__, event)))
    columns.value.frombytes(numbers.astype(np.float32).tobytes())
    columns.time.frombytes(times.tobytes())
    return True


def _numbers(texts: list[str], least: float, most: float) -> Float64:
    """All of them, NaN where empty; ValueError when one is no number within the bounds."""
    if not any(texts):
        return np.full(len(texts), np.nan)
    found = np.array([float(text) if text else math.nan for text in texts])
    known = ~np.isnan(found)
    if np.count_nonzero(known) != len(texts) - texts.count(""):
        raise ValueError("not a number")
    if not ((found[known] >= least) & (found[known] <= most)).all():
        raise ValueError("out of bounds")
    return found


def _new_ids(names: list[str], known: Ids) -> Ids:
    """Rows for names not known yet, in the order they come; ValueError when one is no id."""
    new: Ids = {}
    for name in dict.fromkeys(names):
        if name not in known:
            _check_id(name)
            new[name] = len(known) + len(new)
    return new


def _take_line(
    number: int,
    line: str,
    width: int,
    where: list[int],
    latest: float,
    columns: Columns,
    refuse: Refuse,
) -> None:
    if not line.strip():
        return
    columns.rows += 1
    try:
        _take(_split(line.rstrip("\r\n")), width, where, latest, columns)
    except (ValueError, csv.Error) as bad:
        refuse(number, str(bad))


def _split(line: str) -> list[str]:
    return line.split(",") if '"' not in line else next(csv.reader([line]), [])


def _take(fields: list[str], width: int, where: list[int], latest: float, columns: Columns) -> None:
    """Append one row; ValueError says why it cannot be used."""
    if len(fields) != width:
        raise ValueError("wrong number of fields")
    user, item, event, value, stamp = ("" if n < 0 else fields[n] for n in where)
    if not user.strip() or not item.strip():
        raise ValueError("empty user_id or item_id")
    check_text(user)
    check_text(item)
    kind = _kind(event)
    told = number_of(value, "value")
    if abs(told) > MOST_VALUE:
        raise ValueError("value is out of range")
    moment = number_of(stamp, "timestamp")
    if moment < 0:
        raise ValueError("timestamp before 1970")
    if moment > latest:
        raise ValueError("timestamp in the future")
    columns.user.append(columns.users.setdefault(user, len(columns.users)))
    columns.item.append(columns.items.setdefault(item, len(columns.items)))
    columns.kind.append(kind)
    columns.value.append(told)
    columns.time.append(moment)


def _kind(event: str) -> int:
    kind = KIND_CODES.get(event.strip().lower() or "view")
    if kind is None:
        raise ValueError("unknown event")
    return kind


def _check_id(name: str) -> None:
    if not name.strip():
        raise ValueError("empty user_id or item_id")
    check_text(name)


def check_text(text: str) -> None:
    """ValueError for what no table could hold."""
    if "\0" in text:
        raise ValueError("NUL byte")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("not UTF-8")


def number_of(text: str, name: str) -> float:
    """The number, NaN when the field is empty; ValueError when it is none."""
    if not text.strip():
        return math.nan
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or abs(found) > 1e30:
        raise ValueError(f"{name} is not a number")
    return found
