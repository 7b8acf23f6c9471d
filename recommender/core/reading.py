"""The dataset folder: interactions.csv, and items.csv and users.csv where there are some."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from recommender.core.blocks import read_vectors, with_block
from recommender.core.cleaning import Log
from recommender.core.data import (
    KIND_CODES,
    IdMap,
    Interactions,
    ItemTable,
    UserTable,
)
from recommender.core.errors import DatasetError
from recommender.core.event_file import Columns, check_text, number_of, read_events

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
    latest = (time.time() if now is None else now) + CLOCK_SLACK_SECONDS
    columns = read_events(source, latest, partial(report.refuse, source.name))
    report.rows = columns.rows
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
    columns: Columns,
    table: ItemTable,
    told_of_items: bool,
    told: dict[str, tuple[str, ...]],
    report: ReadReport,
    keep_log: bool,
) -> Dataset:
    users, items = IdMap.from_ids(columns.users), IdMap.from_ids(columns.items)
    user, item = np.frombuffer(columns.user, np.int32), np.frombuffer(columns.item, np.int32)
    kinds, values = np.frombuffer(columns.kind, np.uint8), np.frombuffer(columns.value, np.float32)
    times = np.frombuffer(columns.time, np.float64)
    events = kinds != KIND_CODES["impression"]
    report.impressions = int(np.count_nonzero(~events))
    if not events.any():
        raise DatasetError("interactions.csv holds no interaction that can be used")
    untimed = np.isnan(times[events])
    report.without_time = int(np.count_nonzero(untimed))
    timed = np.mean(untimed) <= 0.5
    people = UserTable([told.get(name, ()) for name in columns.users]) if told else None

    def chosen(kept: np.ndarray) -> Interactions:
        shown: np.ndarray | slice = slice(None) if kept.all() else kept  # spares copies
        return Interactions.build(
            users=users,
            items=items,
            user_rows=user[shown],
            item_rows=item[shown],
            values=values[shown],
            times=times[shown] if timed else None,
            kinds=kinds[shown],
            table=table if told_of_items else None,
            people=people,
        )

    interactions = chosen(events)
    report.duplicates = int(np.count_nonzero(events)) - len(interactions)
    rated = events & (kinds == KIND_CODES["rating"]) & ~np.isnan(values)
    ratings = interactions if (rated == events).all() else chosen(rated)
    log = None
    if keep_log:
        log = Log.of(
            user[events].astype(np.int64),
            item[events].astype(np.int64),
            kinds[events],
            values[events],
            times[events],
        )
    return Dataset(name, interactions, ratings, table, report, log)


def _moment(text: str) -> float:
    """Unix seconds from a number or an ISO 8601 date (UTC where it names no offset)."""
    try:
        return number_of(text, "published_at")
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
        check_text(text)
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
    if price and not 0 <= number_of(price, "price_fen") < 1e15:
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
