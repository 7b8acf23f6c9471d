"""The dataset folder: interactions.csv, and items.csv and users.csv where there are some."""

from __future__ import annotations

import csv
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from recommender.core.blocks import read_vectors, with_block
from recommender.core.cleaning import Log
from recommender.core.data import (
    KIND_CODES,
    MOST_VALUE,
    IdMap,
    Interactions,
    ItemTable,
    UserTable,
)
from recommender.core.errors import DatasetError

COLUMNS = ("user_id", "item_id", "event", "value", "timestamp")
ITEM_COLUMNS = (
    "item_id",
    "title",
    "category",
    "tags",
    "creator",
    "published_at",
    "price_fen",
    "text",
)
VECTORS = "vectors.npz"  # sentence vectors by item id, from any encoder, where there are some
USER_COLUMNS = ("user_id", "birth_year", "gender", "occupation", "interests")
CLOCK_SLACK_SECONDS = 86_400  # an exporting machine's clock may run ahead by a day
REPORTED_ROWS = 100
FIELD_LIMIT = 1 << 24


@dataclass(frozen=True)
class BadRow:
    file: str
    line: int
    reason: str


@dataclass
class ReadReport:
    """What was read and what was left out; at most REPORTED_ROWS bad rows are kept in full."""

    rows: int = 0  # of all files
    bad: int = 0
    duplicates: int = 0
    impressions: int = 0
    without_time: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    bad_rows: list[BadRow] = field(default_factory=list)
    strict: bool = False

    def refuse(self, file: str, line: int, reason: str) -> None:
        """Count one bad row; DatasetError at once when `strict`."""
        if self.strict:
            raise DatasetError(f"{file}, line {line}: {reason}")
        self.bad += 1
        self.reasons[reason] += 1
        if len(self.bad_rows) < REPORTED_ROWS:
            self.bad_rows.append(BadRow(file, line, reason))

    def sentences(self, most: int = REPORTED_ROWS) -> list[str]:
        """For people: the first bad rows and the counts; empty when there is nothing to say."""
        told = [f"{row.file}:{row.line}: {row.reason}" for row in self.bad_rows[:most]]
        if self.bad:
            told.append(f"{self.bad} of {self.rows} rows were skipped")
        return told


@dataclass(frozen=True)
class Dataset:
    """A folder as arrays.

    `interactions` holds every event but impressions, the first of each (user, item).
    `ratings` holds the rating events alone. Both share the id maps: all users of
    interactions.csv, and all items of both files. They carry what items.csv and users.csv tell,
    where there are such files. `log` keeps every event but impressions, by user and item row,
    where it was asked for.
    """

    name: str
    interactions: Interactions
    ratings: Interactions
    table: ItemTable
    report: ReadReport
    log: Log | None = None


@dataclass
class _Columns:
    users: dict[str, int] = field(default_factory=dict)
    items: dict[str, int] = field(default_factory=dict)
    user: list[int] = field(default_factory=list)
    item: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    time: list[float] = field(default_factory=list)


def read_dataset(
    folder: str | Path, *, strict: bool = False, now: float | None = None, keep_log: bool = False
) -> Dataset:
    """Read a dataset folder; bad rows are reported with file and line, and skipped.

    `now` (Unix seconds) bounds timestamps. DatasetError when the folder or interactions.csv is
    missing, when its header is another one, when no interaction is left, and with `strict` at
    the first bad row. When under half of the events carry a time, the set counts as one without
    times; otherwise the rest counts as the oldest events.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DatasetError(f"no dataset folder at {root}")
    source = root / "interactions.csv"
    if not source.is_file():
        raise DatasetError(f"{root} has no interactions.csv")
    report = ReadReport(strict=strict)
    columns = _read_interactions(source, report, time.time() if now is None else now)
    described = _read_items(root / "items.csv", report)
    for item in described:
        columns.items.setdefault(item, len(columns.items))
    told = _read_users(root / "users.csv", report)
    table = _item_table(list(columns.items), described)
    if (root / VECTORS).is_file():
        table = with_block(table, "vectors", read_vectors(root / VECTORS, list(columns.items)))
    told_of_items = bool(described or table.blocks)
    return _assembled(root.name, columns, table, told_of_items, told, report, keep_log)


def _assembled(
    name: str,
    columns: _Columns,
    table: ItemTable,
    told_of_items: bool,
    told: dict[str, tuple[str, ...]],
    report: ReadReport,
    keep_log: bool,
) -> Dataset:
    users, items = IdMap.from_ids(columns.users), IdMap.from_ids(columns.items)
    kinds = np.array(columns.kind, np.uint8)
    events = kinds != KIND_CODES["impression"]
    report.impressions = int(np.count_nonzero(~events))
    if not events.any():
        raise DatasetError("interactions.csv holds no interaction that can be used")
    times = np.array(columns.time, np.float64)
    untimed = np.isnan(times[events])
    report.without_time = int(np.count_nonzero(untimed))
    timed = np.mean(untimed) <= 0.5
    people = UserTable([told.get(user, ()) for user in columns.users]) if told else None

    def chosen(kept: np.ndarray) -> Interactions:
        return Interactions.build(
            users=users,
            items=items,
            user_rows=np.array(columns.user, np.int32)[kept],
            item_rows=np.array(columns.item, np.int32)[kept],
            values=np.array(columns.value, np.float32)[kept],
            times=times[kept] if timed else None,
            kinds=kinds[kept],
            table=table if told_of_items else None,
            people=people,
        )

    interactions = chosen(events)
    report.duplicates = int(np.count_nonzero(events)) - len(interactions)
    rated = events & (kinds == KIND_CODES["rating"]) & ~np.isnan(columns.value)
    log = None
    if keep_log:
        log = Log.of(
            np.array(columns.user, np.int64)[events],
            np.array(columns.item, np.int64)[events],
            kinds[events],
            np.array(columns.value, np.float32)[events],
            times[events],
        )
    return Dataset(name, interactions, chosen(rated), table, report, log)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Physical lines, numbered from 1, without their ends; bad UTF-8 becomes surrogates."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for number, line in enumerate(file, 1):
            yield number, line.rstrip("\r\n")


def _split(line: str) -> list[str]:
    return line.split(",") if '"' not in line else next(csv.reader([line]), [])


def _read_interactions(path: Path, report: ReadReport, now: float) -> _Columns:
    columns = _Columns()
    lines = _lines(path)
    first = next(lines, None)
    header = [name.strip().lower() for name in _split(first[1])] if first else []
    places = {name: header.index(name) for name in COLUMNS if name in header}
    if "user_id" not in places or "item_id" not in places:
        raise DatasetError(f"{path.name} must begin with the header {','.join(COLUMNS)}")
    where = [places.get(name, -1) for name in COLUMNS]
    latest = now + CLOCK_SLACK_SECONDS
    for number, line in lines:
        if not line.strip():
            continue
        report.rows += 1
        try:
            _take(_split(line), len(header), where, latest, columns)
        except (ValueError, csv.Error) as bad:
            report.refuse(path.name, number, str(bad))
    return columns


def _take(
    fields: list[str], width: int, where: list[int], latest: float, columns: _Columns
) -> None:
    """Append one row; ValueError says why it cannot be used."""
    if len(fields) != width:
        raise ValueError("wrong number of fields")
    user, item, event, value, stamp = ("" if n < 0 else fields[n] for n in where)
    if not user.strip() or not item.strip():
        raise ValueError("empty user_id or item_id")
    _check_text(user)
    _check_text(item)
    kind = KIND_CODES.get(event.strip().lower() or "view")
    if kind is None:
        raise ValueError("unknown event")
    number = _number(value, "value")
    if abs(number) > MOST_VALUE:
        raise ValueError("value is out of range")
    moment = _number(stamp, "timestamp")
    if moment < 0:
        raise ValueError("timestamp before 1970")
    if moment > latest:
        raise ValueError("timestamp in the future")
    columns.user.append(columns.users.setdefault(user, len(columns.users)))
    columns.item.append(columns.items.setdefault(item, len(columns.items)))
    columns.kind.append(kind)
    columns.value.append(number)
    columns.time.append(moment)


def _check_text(text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise ValueError("NUL byte")
        return
    if "\0" in text:
        raise ValueError("NUL byte")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("not UTF-8")


def _number(text: str, name: str) -> float:
    """The number, NaN when the field is empty."""
    if not text.strip():
        return math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e30:
        raise ValueError(f"{name} is not a number")
    return number


def _moment(text: str) -> float:
    """Unix seconds from a number or an ISO 8601 date (UTC where it names no offset)."""
    try:
        return _number(text, "published_at")
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as bad:
        raise ValueError("published_at is not a date") from bad
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _read_users(path: Path, report: ReadReport) -> dict[str, tuple[str, ...]]:
    """User id -> interests; age, gender and occupation play no part in what is recommended."""
    told: dict[str, tuple[str, ...]] = {}
    for line, (user, *_, interests) in _rows_of(path, USER_COLUMNS, report):
        if user in told:
            report.refuse(path.name, line, "user_id repeats")
            continue
        told[user] = tuple(name for name in interests.split("|") if name.strip())
    return told


def _read_items(path: Path, report: ReadReport) -> dict[str, list[str]]:
    """Item id -> its fields in the order of ITEM_COLUMNS; empty without the file."""
    described: dict[str, list[str]] = {}
    for line, fields in _rows_of(path, ITEM_COLUMNS, report):
        try:
            taken = _item_fields(fields)
        except ValueError as bad:
            report.refuse(path.name, line, str(bad))
            continue
        if taken[0] in described:
            report.refuse(path.name, line, "item_id repeats")
            continue
        described[taken[0]] = taken
    return described


def _rows_of(
    path: Path, columns: tuple[str, ...], report: ReadReport
) -> Iterator[tuple[int, list[str]]]:
    """The rows that can be read, each in the order of `columns`, "" where one is missing.

    Nothing without the file; the first column is the id and must be there.
    """
    if not path.is_file():
        return
    csv.field_size_limit(FIELD_LIMIT)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        header = [name.strip().lower() for name in next(rows, [])]
        if columns[0] not in header:
            raise DatasetError(f"{path.name} must begin with the header {','.join(columns)}")
        where = [header.index(name) if name in header else -1 for name in columns]
        for line, fields in _survivors(rows, path.name, report):
            report.rows += 1
            try:
                taken = _chosen(fields, len(header), where, columns[0])
            except ValueError as bad:
                report.refuse(path.name, line, str(bad))
                continue
            yield line, taken


def _chosen(fields: list[str], width: int, where: list[int], key: str) -> list[str]:
    if len(fields) != width:
        raise ValueError("wrong number of fields")
    taken = ["" if n < 0 else fields[n] for n in where]
    if not taken[0].strip():
        raise ValueError(f"empty {key}")
    for text in taken:
        _check_text(text)
    return taken


def _survivors(
    rows: Iterator[list[str]], name: str, report: ReadReport
) -> Iterator[tuple[int, list[str]]]:
    """Parsed rows with the line they end on; a row the parser refuses is reported."""
    while True:
        try:
            fields = next(rows, None)
        except csv.Error as bad:
            report.rows += 1
            report.refuse(name, int(getattr(rows, "line_num", 0)), str(bad))
            continue
        if fields is None:
            return
        if fields:
            yield int(getattr(rows, "line_num", 0)), fields


def _item_fields(taken: list[str]) -> list[str]:
    published, price = taken[5], taken[6]
    taken[5] = repr(_moment(published)) if published else ""
    if price and not 0 <= _number(price, "price_fen") < 1e15:
        raise ValueError("price_fen is out of range")
    return taken


def _item_table(items: list[str], described: dict[str, list[str]]) -> ItemTable:
    blank = [""] * len(ITEM_COLUMNS)
    rows = [described.get(item, blank) for item in items]
    return ItemTable(
        titles=[row[1] for row in rows],
        categories=[row[2] for row in rows],
        tags=[tuple(tag for tag in row[3].split("|") if tag) for row in rows],
        creators=[row[4] for row in rows],
        published_at=np.array([float(row[5] or "nan") for row in rows], np.float64),
        price_fen=np.array([int(float(row[6] or -1)) for row in rows], np.int64),
        texts=[row[7] for row in rows],
    )
