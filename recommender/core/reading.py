"""The dataset folder: interactions.csv, and items.csv and users.csv where there are some."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from recommender.core.blocks import read_vectors, with_block
from recommender.core.cleaning import Log, Mask
from recommender.core.data import (
    KIND_CODES,
    Float32,
    IdMap,
    Int32,
    Interactions,
    ItemTable,
    UserTable,
)
from recommender.core.errors import (
    DatasetError,
    said_of,
    sentence,
    system_said,
)
from recommender.core.event_file import Columns, check_text, number_of, read_events
from recommender.core.read_report import (
    LONGEST_ID,
    MOST_UNTIMED,
    ReadReport,
    nothing_usable,
)
from recommender.core.scales import STARS, Scale

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
FIELD_LIMIT = 1 << 24


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
    a bad row. When under half of the events carry a time, the set counts as one without
    times; otherwise the rest counts as the oldest events. Ratings are stars from 0.5 to 5, or
    all on one other scale (`core.scales`).
    """
    try:
        return _read(Path(folder), ReadReport(strict=strict), now, keep_log)
    except OSError as why:
        raise cannot_read(why.filename or folder, why) from why


def cannot_read(path: object, why: OSError) -> DatasetError:
    return DatasetError(sentence("cannot read %(path)s: %(why)s", path=path, why=system_said(why)))


def source_of(folder: Path) -> Path:
    """Its interactions.csv; DatasetError when there is no such folder or file."""
    if not folder.is_dir():
        raise DatasetError(sentence("no dataset folder at %(folder)s", folder=folder))
    if not (folder / "interactions.csv").is_file():
        raise DatasetError(sentence("%(folder)s has no interactions.csv", folder=folder))
    return folder / "interactions.csv"


def is_there(path: Path) -> bool:
    """Whether there is this file; DatasetError when it is something else."""
    if path.exists() and not path.is_file():
        raise DatasetError(sentence("%(name)s is not a file", name=path.name))
    return path.is_file()


def _read(root: Path, report: ReadReport, now: float | None, keep_log: bool) -> Dataset:
    source = source_of(root)
    csv.field_size_limit(FIELD_LIMIT)
    latest = (time.time() if now is None else now) + CLOCK_SLACK_SECONDS
    columns = read_events(source, latest, partial(report.refuse, source.name))
    _count(columns, report)
    described = _read_items(root / "items.csv", report)
    for item in described:
        columns.items.setdefault(item, len(columns.items))
    told = _read_users(root / "users.csv", report)
    table = _item_table(list(columns.items), described)
    if is_there(root / VECTORS):
        table = with_block(table, "vectors", read_vectors(root / VECTORS, list(columns.items)))
    told_of_items = bool(described or table.blocks)
    return _assembled(root.name, columns, table, told_of_items, told, report, keep_log)


def _count(columns: Columns, report: ReadReport) -> None:
    """What the report says of interactions.csv; DatasetError when nothing in it can be used."""
    kinds, values = np.frombuffer(columns.kind, np.uint8), np.frombuffer(columns.value, np.float32)
    events = kinds != KIND_CODES["impression"]
    report.rows, report.events = columns.rows, int(np.count_nonzero(events))
    report.impressions = len(kinds) - report.events
    if not report.events:
        raise nothing_usable(report, columns.rows)
    report.without_time = int(np.count_nonzero(np.isnan(np.frombuffer(columns.time)[events])))
    report.without_event, report.scale = columns.without_event, columns.scale
    rated = kinds == KIND_CODES["rating"]
    report.without_stars = int(np.count_nonzero(rated & np.isnan(values)))
    long = [
        np.array([len(name) > LONGEST_ID for name in names], np.bool_)
        for names in (columns.users, columns.items)
    ]
    if any(one.any() for one in long):
        users, items = np.frombuffer(columns.user, np.int32), np.frombuffer(columns.item, np.int32)
        report.long_ids = int(np.count_nonzero(long[0][users] | long[1][items]))


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
    timed = report.without_time <= MOST_UNTIMED * report.events
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
    report.duplicates = report.events - len(interactions)
    rated = events & (kinds == KIND_CODES["rating"]) & ~np.isnan(values)
    ratings = interactions if (rated == events).all() else chosen(rated)
    log = None
    if keep_log:
        log = Log.of(
            user[events].astype(np.int64),
            item[events].astype(np.int64),
            kinds[events],
            _as_stars(values, rated, columns.scale)[events],
            times[events],
            own=_own(user, item, users, table)[events],
        )
    return Dataset(name, interactions, ratings, table, report, log)


def _as_stars(values: Float32, rated: Mask, scale: Scale) -> Float32:
    """What cleaning and matrix ask for, whatever scale the ratings are on."""
    return values if scale == STARS else np.where(rated, scale.stars(values), values)


def _own(user: Int32, item: Int32, users: IdMap, table: ItemTable) -> Mask:
    """[rows]: an act of the user whom items.csv names as the item's creator, by the same id."""
    if not any(table.creators):
        return np.zeros(len(user), np.bool_)
    creators = users.rows(table.creators)
    own: Mask = (user == creators[item]) & (creators[item] >= 0)
    return own


def _moment(text: str) -> float:
    """Unix seconds from a number or an ISO 8601 date (UTC where it names no offset)."""
    try:
        return number_of(text, "published_at")
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as bad:
        raise ValueError(sentence("published_at is not a date")) from bad
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _read_users(path: Path, report: ReadReport) -> dict[str, tuple[str, ...]]:
    """User id -> interests; age, gender and occupation play no part in what is recommended."""
    told: dict[str, tuple[str, ...]] = {}
    for line, (user, *_, interests) in _rows_of(path, USER_COLUMNS, report):
        if user in told:
            report.refuse(path.name, line, sentence("%(name)s repeats", name="user_id"))
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
            report.refuse(path.name, line, said_of(bad))
            continue
        if taken[0] in described:
            report.refuse(path.name, line, sentence("%(name)s repeats", name="item_id"))
            continue
        described[taken[0]] = taken
    return described


def _rows_of(
    path: Path, columns: tuple[str, ...], report: ReadReport
) -> Iterator[tuple[int, list[str]]]:
    """The rows that can be read, each in the order of `columns`, "" where one is missing.

    Nothing without the file; the first column is the id and must be there.
    """
    if not is_there(path):
        return
    csv.field_size_limit(FIELD_LIMIT)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        header = [name.strip().lower() for name in next(rows, [])]
        if columns[0] not in header:
            raise DatasetError(
                sentence(
                    "%(name)s must begin with the header %(columns)s",
                    name=path.name,
                    columns=",".join(columns),
                )
            )
        where = [header.index(name) if name in header else -1 for name in columns]
        for line, fields in _survivors(rows, path.name, report):
            report.rows += 1
            try:
                taken = _chosen(fields, len(header), where, columns[0])
            except ValueError as bad:
                report.refuse(path.name, line, said_of(bad))
                continue
            yield line, taken


def _chosen(fields: list[str], width: int, where: list[int], key: str) -> list[str]:
    if len(fields) != width:
        raise ValueError(sentence("wrong number of fields"))
    taken = ["" if n < 0 else fields[n] for n in where]
    if not taken[0].strip():
        raise ValueError(sentence("empty %(name)s", name=key))
    for text in taken:
        check_text(text)
    return taken


def _survivors(
    rows: Iterator[list[str]], name: str, report: ReadReport
) -> Iterator[tuple[int, list[str]]]:
    """Parsed rows with the line they begin on; a row the parser refuses is reported."""
    while True:
        line = int(getattr(rows, "line_num", 0)) + 1
        try:
            fields = next(rows, None)
        except csv.Error as bad:
            report.rows += 1
            report.refuse(name, line, str(bad))
            continue
        if fields is None:
            return
        if fields:
            yield line, fields


def _item_fields(taken: list[str]) -> list[str]:
    published, price = taken[5], taken[6]
    taken[5] = repr(_moment(published)) if published else ""
    if price and not 0 <= number_of(price, "price_fen") < 1e15:
        raise ValueError(sentence("%(name)s is out of range", name="price_fen"))
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
