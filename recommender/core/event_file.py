"""interactions.csv into columns: whole chunks at once where every row is plain, else row by row."""

from __future__ import annotations

import csv
import math
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import KIND_CODES, MOST_VALUE, Float64
from recommender.core.errors import DatasetError, said_of, sentence
from recommender.core.scales import STARS, Scale, scale_of

COLUMNS = ("user_id", "item_id", "event", "value", "timestamp")
CHUNK = 20_000  # lines
MOST_LINES = 100  # of one row: a quote that is open for longer was never meant to be one
RATING, PLAY = KIND_CODES["rating"], KIND_CODES["play"]
Refuse = Callable[[int, str], None]  # a line's number and what is wrong with it
Ids = dict[str, int]

OUTSIDE_STARS = "a rating must lie between 0.5 and 5"
OUTSIDE_SHARE = "the watched share must lie between 0 and 100"


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
    without_event: int = 0  # rows that name none: a view
    # ratings that are no stars: their places in the columns, and their lines
    odd: array[int] = field(default_factory=lambda: array("q"))
    odd_lines: array[int] = field(default_factory=lambda: array("q"))
    scale: Scale = STARS


def read_events(path: Path, latest: float, refuse: Refuse) -> Columns:
    """The rows of interactions.csv; those that cannot be used go to `refuse`.

    Lines are physical ones, numbered from 1; bad UTF-8 becomes surrogates and is refused. A row
    may span lines inside quotes. A quote that never ends costs its own line alone.
    """
    columns = Columns()
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline().rstrip("\r\n")
        header = [name.strip().lower() for name in _split(first)] if first else []
        places = {name: header.index(name) for name in COLUMNS if name in header}
        if "user_id" not in places or "item_id" not in places:
            raise DatasetError(
                sentence(
                    "%(name)s must begin with the header %(columns)s",
                    name=path.name,
                    columns=",".join(COLUMNS),
                )
            )
        where = [places.get(name, -1) for name in COLUMNS]
        number = 2
        while lines := list(islice(file, CHUNK)):
            if _take_all(lines, number, len(header), where, latest, columns):
                number += len(lines)
            else:
                number = _take_each(
                    lines, file, number, len(header), where, latest, columns, refuse
                )
    return _on_one_scale(columns, refuse)


def _take_all(
    lines: list[str], number: int, width: int, where: list[int], latest: float, columns: Columns
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
        codes = np.fromiter(map(kinds.__getitem__, event), np.uint8, len(lines))
        with np.errstate(invalid="ignore"):
            if ((codes == PLAY) & ((numbers < 0) | (numbers > 100))).any():
                return False
        times = _numbers(stamp, 0, latest)
        new_users, new_items = _new_ids(user, columns.users), _new_ids(item, columns.items)
    except ValueError:
        return False  # row by row it comes out which, and why
    odd = np.flatnonzero((codes == RATING) & ~np.isnan(numbers) & ~STARS.holds(numbers))
    columns.odd.frombytes((odd + len(columns.user)).astype(np.int64).tobytes())
    columns.odd_lines.frombytes((odd + number).astype(np.int64).tobytes())
    columns.without_event += sum(event.count(told) for told in kinds if not told.strip())
    columns.users |= new_users
    columns.items |= new_items
    columns.rows += len(lines)
    columns.user.extend(array("i", map(columns.users.__getitem__, user)))
    columns.item.extend(array("i", map(columns.items.__getitem__, item)))
    columns.kind.frombytes(codes.tobytes())
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


def _take_each(
    lines: list[str],
    file: TextIO,
    number: int,
    width: int,
    where: list[int],
    latest: float,
    columns: Columns,
    refuse: Refuse,
) -> int:
    """The rows of a chunk one by one, more of the file where the last goes on; the next number."""
    waiting = deque(lines)
    while waiting:
        line, following = waiting.popleft(), list[str]()
        if line.strip():
            columns.rows += 1
            try:
                fields = _fields(line, width, following, waiting, file)
                _take(fields, number, width, where, latest, columns)
            except (ValueError, csv.Error) as bad:
                refuse(number, said_of(bad))
        number += 1 + len(following)
    return number


def _fields(
    line: str, width: int, following: list[str], waiting: deque[str], file: TextIO
) -> list[str]:
    """The row that `line` begins; `following` are the lines that it takes beside it.

    Lines that make no row of the right width with it are left for themselves.
    """
    if '"' not in line:
        return line.rstrip("\r\n").split(",")
    closed = True

    def parts() -> Iterator[str]:  # asked for more only while a quote is open
        nonlocal closed
        yield line
        while len(following) < MOST_LINES:
            more = waiting.popleft() if waiting else next(file, None)
            if more is None:
                break
            following.append(more)
            yield more
        closed = False

    right = False
    try:
        fields = next(csv.reader(parts()), [])
        right = closed and len(fields) == width
    finally:
        if not right:
            waiting.extendleft(reversed(following))
            following.clear()
    if not closed:
        raise ValueError(sentence("a quote is never closed"))
    return fields


def _split(line: str) -> list[str]:
    return line.split(",") if '"' not in line else next(csv.reader([line]), [])


def _take(
    fields: list[str], number: int, width: int, where: list[int], latest: float, columns: Columns
) -> None:
    """Append one row; ValueError says why it cannot be used."""
    if len(fields) != width:
        raise ValueError(sentence("wrong number of fields"))
    user, item, event, value, stamp = ("" if n < 0 else fields[n] for n in where)
    _check_id(user)
    _check_id(item)
    kind = _kind(event)
    told = number_of(value, "value")
    if abs(told) > MOST_VALUE:
        raise ValueError(sentence("%(name)s is out of range", name="value"))
    if kind == PLAY and not math.isnan(told) and not 0 <= told <= 100:
        raise ValueError(sentence(OUTSIDE_SHARE))
    moment = number_of(stamp, "timestamp")
    if moment < 0:
        raise ValueError(sentence("timestamp before 1970"))
    if moment > latest:
        raise ValueError(sentence("timestamp in the future"))
    if kind == RATING and not math.isnan(told) and not STARS.least <= told <= STARS.most:
        columns.odd.append(len(columns.user))
        columns.odd_lines.append(number)
    columns.without_event += not event.strip()
    columns.user.append(columns.users.setdefault(user, len(columns.users)))
    columns.item.append(columns.items.setdefault(item, len(columns.items)))
    columns.kind.append(kind)
    columns.value.append(told)
    columns.time.append(moment)


def _kind(event: str) -> int:
    kind = KIND_CODES.get(event.strip().lower() or "view")
    if kind is None:
        raise ValueError(sentence("unknown event"))
    return kind


def _check_id(name: str) -> None:
    if not name.strip():
        raise ValueError(sentence("empty user_id or item_id"))
    check_text(name)


def _on_one_scale(columns: Columns, refuse: Refuse) -> Columns:
    """Without the ratings that do not fit the scale of the others; those go to `refuse`."""
    if not columns.odd:
        return columns
    kinds, values = np.frombuffer(columns.kind, np.uint8), np.frombuffer(columns.value, np.float32)
    odd, lines = np.frombuffer(columns.odd, np.int64), np.frombuffer(columns.odd_lines, np.int64)
    rated = np.count_nonzero((kinds == RATING) & ~np.isnan(values))
    scale = scale_of(int(rated) - len(odd), values[odd])
    wrong = ~scale.holds(values[odd])
    why = (
        sentence(OUTSIDE_STARS)
        if scale == STARS
        else sentence(
            "a rating must lie between %(least)s and %(most)s as most here do",
            least=f"{scale.least:g}",
            most=f"{scale.most:g}",
        )
    )
    for line in lines[wrong].tolist():
        refuse(line, why)
    kept = np.ones(len(kinds), np.bool_)
    kept[odd[wrong]] = False
    return replace(_only(columns, kept) if wrong.any() else columns, scale=scale)


def _only(columns: Columns, kept: NDArray[np.bool_]) -> Columns:
    """The kept rows, and of the ids those that a row still has."""
    user, users = _renumbered(columns.user, list(columns.users), kept)
    item, items = _renumbered(columns.item, list(columns.items), kept)
    kind, value, time = array("B"), array("f"), array("d")
    kind.frombytes(np.frombuffer(columns.kind, np.uint8)[kept].tobytes())
    value.frombytes(np.frombuffer(columns.value, np.float32)[kept].tobytes())
    time.frombytes(np.frombuffer(columns.time, np.float64)[kept].tobytes())
    return replace(
        columns, users=users, items=items, user=user, item=item, kind=kind, value=value, time=time
    )


def _renumbered(
    rows: array[int], names: list[str], kept: NDArray[np.bool_]
) -> tuple[array[int], Ids]:
    used, back = np.unique(np.frombuffer(rows, np.int32)[kept], return_inverse=True)
    told = array("i")
    told.frombytes(back.ravel().astype(np.int32).tobytes())
    return told, {names[row]: n for n, row in enumerate(used.tolist())}


def check_text(text: str) -> None:
    """ValueError for what no table could hold."""
    if "\0" in text:
        raise ValueError(sentence("NUL byte"))
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(sentence("not UTF-8"))


def number_of(text: str, name: str) -> float:
    """The number, NaN when the field is empty; ValueError when it is none."""
    if not text.strip():
        return math.nan
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or abs(found) > 1e30:
        raise ValueError(sentence("%(name)s is not a number", name=name))
    return found
