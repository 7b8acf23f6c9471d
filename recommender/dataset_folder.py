"""A dataset folder (contract section 5) row by row, for loading it into the tables.

The core reads folders into arrays, the first event of each pair; the tables take every row, so
this keeps them all and says the line of each one that cannot be used.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from recommender.core.data import MOST_VALUE
from recommender.core.errors import DatasetError, said_of, sentence
from recommender.core.event_file import COLUMNS, OUTSIDE_SHARE, OUTSIDE_STARS, check_text
from recommender.core.read_report import LONGEST_ID, ReadReport, nothing_usable
from recommender.core.reading import (
    CLOCK_SLACK_SECONDS,
    FIELD_LIMIT,
    cannot_read,
    is_there,
    source_of,
)

EVENTS = frozenset(
    (
        "impression",
        "click",
        "view",
        "play",
        "complete",
        "share",
        "favourite",
        "question",
        "rating",
        "search",
        "purchase",
    )
)
T = TypeVar("T")
LEAST_STARS, MOST_STARS = 0.5, 5.0
MOST_PRICE_FEN = 10_000_000_00
THIS_YEAR_AT_MOST = 2100


@dataclass(frozen=True, slots=True)
class Interaction:
    user: str
    item: str
    event: str
    value: float | None
    at: float | None  # Unix seconds


@dataclass(frozen=True)
class Item:
    item: str
    title: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    creator: str = ""
    published_at: datetime | None = None
    price_fen: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Person:
    user: str
    birth_year: int | None = None
    occupation: str = ""
    interests: tuple[str, ...] = ()


@dataclass
class Folder:
    """Everything usable in the folder, and the report of what is not."""

    name: str
    interactions: list[Interaction] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    report: ReadReport = field(default_factory=ReadReport)

    def item_ids(self) -> list[str]:
        """The catalogue: ids of both files, each once."""
        return list(dict.fromkeys([*self.items, *(row.item for row in self.interactions)]))

    def user_ids(self) -> list[str]:
        return list(dict.fromkeys([*self.people, *(row.user for row in self.interactions)]))


def read_folder(folder: Path, *, strict: bool = False) -> Folder:
    """The folder's three files.

    DatasetError when it is none, when every row of interactions.csv is bad or nothing is in any
    file, and with `strict` at a bad row. A row that names no event is a view.
    """
    try:
        return _read(folder, ReadReport(strict=strict))
    except OSError as why:
        raise cannot_read(why.filename or folder, why) from why


def _read(folder: Path, report: ReadReport) -> Folder:
    source = source_of(folder)
    found = Folder(folder.resolve().name, report=report)
    csv.field_size_limit(FIELD_LIMIT)
    latest = time.time() + CLOCK_SLACK_SECONDS
    for line, row in _rows(source, COLUMNS[:3], found.report):
        found.report.rows += 1
        try:
            found.interactions.append(_interaction(row, latest))
            found.report.without_event += not row["event"].strip()
        except ValueError as bad:
            found.report.refuse("interactions.csv", line, said_of(bad))
    if found.report.bad and not found.interactions:
        raise nothing_usable(found.report, found.report.rows)
    for line, row in _rows(folder / "items.csv", ("item_id",), found.report):
        _keep(found.items, "items.csv", line, row, "item_id", _item, found.report)
    for line, row in _rows(folder / "users.csv", ("user_id",), found.report):
        _keep(found.people, "users.csv", line, row, "user_id", _person, found.report)
    if not found.interactions and not found.items and not found.people:
        raise nothing_usable(found.report, 0)
    return found


def _keep(
    kept: dict[str, T],
    file: str,
    line: int,
    row: dict[str, str],
    key: str,
    make: Callable[[dict[str, str]], T],
    report: ReadReport,
) -> None:
    """One row of a table with a key: refused when unusable or repeated."""
    report.rows += 1
    try:
        made = make(row)
    except ValueError as bad:
        report.refuse(file, line, said_of(bad))
        return
    if row[key] in kept:
        report.refuse(file, line, sentence("%(name)s repeats", name=key))
    else:
        kept[row[key]] = made


def _rows(
    path: Path, required: tuple[str, ...], report: ReadReport
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows by header name with the line they begin on; nothing when the file is absent."""
    if not is_there(path):
        return
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        header = [name.strip().lower() for name in _next(rows, path.name, report) or []]
        if not set(required) <= set(header):
            raise DatasetError(
                sentence(
                    "%(name)s must have the columns %(columns)s",
                    name=path.name,
                    columns=", ".join(required),
                )
            )
        while True:
            line = rows.line_num + 1
            fields = _next(rows, path.name, report)
            if fields is None:
                return
            if len(fields) == len(header):
                yield line, dict(zip(header, fields, strict=True))
            elif fields:
                report.rows += 1
                report.refuse(path.name, line, sentence("wrong number of fields"))


def _next(rows: Iterator[list[str]], name: str, report: ReadReport) -> list[str] | None:
    while True:
        try:
            return next(rows, None)
        except csv.Error as bad:
            report.rows += 1
            report.refuse(name, int(getattr(rows, "line_num", 0)), str(bad))


def _interaction(row: dict[str, str], latest: float) -> Interaction:
    event = row["event"].strip().lower() or "view"
    if event not in EVENTS:
        raise ValueError(sentence("unknown event"))
    value = _number(row.get("value", ""), "value")
    if value is not None and abs(value) > MOST_VALUE:
        raise ValueError(sentence("%(name)s is out of range", name="value"))
    if event == "rating" and (value is None or not LEAST_STARS <= value <= MOST_STARS):
        raise ValueError(sentence(OUTSIDE_STARS))
    if event == "play" and value is not None and not 0 <= value <= 100:
        raise ValueError(sentence(OUTSIDE_SHARE))
    at = _number(row.get("timestamp", ""), "timestamp")
    if at is not None and not 0 <= at <= latest:
        raise ValueError(sentence("timestamp before 1970 or in the future"))
    return Interaction(_id(row, "user_id"), _id(row, "item_id"), event, value, at)


def _item(row: dict[str, str]) -> Item:
    price = _number(row.get("price_fen", ""), "price_fen")
    if price is not None and (not 0 <= price <= MOST_PRICE_FEN or price != int(price)):
        raise ValueError(sentence("%(name)s is out of range", name="price_fen"))
    return Item(
        item=_id(row, "item_id"),
        title=_text(row, "title"),
        category=_text(row, "category"),
        tags=_list(row, "tags"),
        creator=_text(row, "creator"),
        published_at=_moment(row.get("published_at", "")),
        price_fen=None if price is None else int(price),
        text=_text(row, "text"),
    )


def _person(row: dict[str, str]) -> Person:
    year = _number(row.get("birth_year", ""), "birth_year")
    if year is not None and not 1900 <= year <= THIS_YEAR_AT_MOST:
        raise ValueError(sentence("%(name)s is out of range", name="birth_year"))
    return Person(
        user=_id(row, "user_id"),
        birth_year=None if year is None else int(year),
        occupation=_text(row, "occupation")[:32],
        interests=tuple(name[:64] for name in _list(row, "interests")[:20]),
    )


def _id(row: dict[str, str], name: str) -> str:
    text = _text(row, name)
    if not text.strip():
        raise ValueError(sentence("empty %(name)s", name=name))
    if len(text) > LONGEST_ID:
        raise ValueError(
            sentence("%(name)s is longer than %(most)s characters", name=name, most=LONGEST_ID)
        )
    return text


def _text(row: dict[str, str], name: str) -> str:
    text = row.get(name, "")
    check_text(text)
    return text


def _list(row: dict[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in _text(row, name).split("|") if part.strip())


def _number(text: str, name: str) -> float | None:
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError as error:
        raise ValueError(sentence("%(name)s is not a number", name=name)) from error
    if not math.isfinite(number):
        raise ValueError(sentence("%(name)s is not a number", name=name))
    return number


def _moment(text: str) -> datetime | None:
    """Unix seconds or an ISO 8601 date, UTC where it names no offset."""
    if not text.strip():
        return None
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        pass
    except (OverflowError, OSError) as error:
        raise ValueError(sentence("%(name)s is out of range", name="published_at")) from error
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(sentence("published_at is not a date")) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
