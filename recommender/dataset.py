"""The only bridge from tables to arrays: what a training learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from accounts.models import User
from content.models import Category, Course, Creator
from feedback.models import CourseHide, Event
from recommender import rules
from recommender.core.data import KIND_CODES, KINDS, IdMap, Interactions, ItemTable
from recommender.models import TagDeletion

CHUNK = 20_000
BURST_EVENTS = 120  # more client events than this in a minute are not a person's
BURST_SECONDS = 60.0


def _table(model: Any) -> str:
    return str(model._meta.db_table)


ITEMS_SQL = f"""
SELECT c.id, c.title, c.subtitle, c.intro, k.name, c.tag_names, w.nickname
FROM {_table(Course)} c
LEFT JOIN {_table(Category)} k ON k.id = c.category_id
LEFT JOIN {_table(Creator)} w ON w.id = c.creator_id
WHERE c.status = 'published' ORDER BY c.id
"""  # noqa: S608  (names of our own tables)

# Interactions with what is on the shelf. Left out: impressions, ratings before the watched
# share, courses waved off, and courses whose tag or category the learner took out.
EVENTS_SQL = f"""
SELECT e.user_id, e.course_id, e.type, e.value, extract(epoch FROM e.occurred_at)::float8,
       e.origin = 'app', e.user_id = w.user_id
FROM {_table(Event)} e
JOIN {_table(Course)} c ON c.id = e.course_id AND c.status = 'published'
LEFT JOIN {_table(Creator)} w ON w.id = c.creator_id
WHERE e.type NOT IN ('impression', 'search') AND e.counted
  AND NOT EXISTS (
    SELECT 1 FROM {_table(CourseHide)} h WHERE h.user_id = e.user_id AND h.course_id = e.course_id)
  AND NOT EXISTS (
    SELECT 1 FROM {_table(TagDeletion)} d LEFT JOIN {_table(Category)} k ON k.id = c.category_id
    WHERE d.user_id = e.user_id AND (d.tag = ANY(c.tag_names) OR d.tag = k.name))
"""  # noqa: S608  (names of our own tables)


@dataclass(frozen=True)
class Cleaning:
    """What the cleaning left out, by cause; the raw log keeps everything."""

    read: int = 0
    kept: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"read": self.read, "kept": self.kept, "left_out": self.left_out}


@dataclass(frozen=True)
class Raw:
    """Events as columns [n]; `users` and `items` are table keys."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    values: NDArray[np.float32]
    times: NDArray[np.float64]
    from_app: NDArray[np.bool_]
    own: NDArray[np.bool_]  # the creator's own act on the creator's course


def sources_of(users: IdMap, rows: Sequence[int]) -> dict[int, str]:
    """The imported data set of each of these user rows that came with one."""
    keys = {int(users.id(row)): row for row in rows}
    imported = User.objects.filter(pk__in=keys, username__startswith="ds_")
    named = imported.values_list("pk", "username")
    return {keys[pk]: name.removeprefix("ds_").rpartition(":")[0] for pk, name in named}


def snapshot() -> tuple[Interactions, Cleaning]:
    """All usable interactions of one moment, weighted, the first of each pair.

    Item ids are the published courses' keys as text: courses that nobody has touched are
    candidates too. Rows come through a server-side cursor, so memory holds columns alone.
    """
    outermost = not connection.in_atomic_block  # only then can the isolation still be chosen
    with transaction.atomic():
        with connection.cursor() as cursor:
            if outermost:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(ITEMS_SQL)
            shelf = cursor.fetchall()
        raw = _columns(_rows())
    interactions, cleaning = cleaned(raw, [row[0] for row in shelf])
    return replace(interactions, table=described(shelf)), cleaning


def described(shelf: Sequence[tuple[Any, ...]]) -> ItemTable:
    """What the catalogue says about each row of ITEMS_SQL: courses without takers live by it."""
    return ItemTable(
        titles=[title for _, title, *_ in shelf],
        texts=[f"{subtitle}\n{intro}" for _, _, subtitle, intro, *_ in shelf],
        categories=[category or "" for *_, category, _, _ in shelf],
        tags=[tuple(tags) for *_, tags, _ in shelf],
        creators=[creator or "" for *_, creator in shelf],
    )


def _rows() -> Iterator[tuple[Any, ...]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(EVENTS_SQL)
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


def _columns(rows: Iterator[tuple[Any, ...]]) -> Raw:
    kinds = np.dtype(
        [
            ("user", np.int64),
            ("item", np.int64),
            ("kind", np.uint8),
            ("value", np.float32),
            ("time", np.float64),
            ("app", np.bool_),
            ("own", np.bool_),
        ]
    )
    table = np.fromiter(
        (
            (user, item, KIND_CODES[kind], np.nan if value is None else value, at, app, bool(own))
            for user, item, kind, value, at, app, own in rows
        ),
        kinds,
    )
    return Raw(*(np.ascontiguousarray(table[name]) for name in kinds.names or ()))


def cleaned(raw: Raw, courses: list[int]) -> tuple[Interactions, Cleaning]:
    """Interactions of `raw` over `courses`, and the report of what was left out.

    A pair with a low rating says nothing good about the course: all of its events go. The weight
    of a pair is its strongest event's.
    """
    left_out: dict[str, int] = {}
    kept = np.ones(len(raw.users), np.bool_)

    def leave(cause: str, bad: NDArray[np.bool_]) -> None:
        left_out[cause] = int(np.count_nonzero(kept & bad))
        kept[bad] = False

    leave("creator_on_own_course", raw.own)
    leave("burst", _bursts(raw))
    leave("impossible_value", _impossible(raw))
    catalogue = np.array(courses, np.int64)
    items = np.searchsorted(catalogue, raw.items)
    weights = weights_of(raw)
    people, users = np.unique(raw.users[kept], return_inverse=True)
    rows = np.full(len(raw.users), -1, np.int64)
    rows[kept] = users
    pair = rows * max(len(courses), 1) + items
    leave("low_rating", np.isin(pair, pair[kept & (weights < 0)]) & kept)
    leave("no_signal", weights <= 0)
    strongest = _strongest(pair[kept], weights[kept])
    users_kept, final = np.unique(rows[kept], return_inverse=True)
    built = Interactions.build(
        users=IdMap.from_ids(str(people[u]) for u in users_kept),
        items=IdMap.from_ids(str(course) for course in courses),
        user_rows=final,
        item_rows=items[kept],
        weights=strongest,
        values=raw.values[kept],
        times=np.where(raw.times[kept] > 0, raw.times[kept], np.nan),  # 0: imported without
        kinds=raw.kinds[kept],
    )
    left_out["repeated_pair"] = int(np.count_nonzero(kept)) - len(built)
    return built, Cleaning(len(raw.users), len(built), {k: n for k, n in left_out.items() if n})


def weights_of(raw: Raw) -> NDArray[np.float32]:
    """[n]: `rules.event_weight` of each event, by column."""
    weights = np.zeros(len(raw.users), np.float32)
    for kind in np.unique(raw.kinds):
        mine = raw.kinds == kind
        values = raw.values[mine]
        distinct, back = np.unique(values, return_inverse=True, equal_nan=True)
        each = [
            rules.event_weight(KINDS[kind], None if np.isnan(v) else float(v)) for v in distinct
        ]
        weights[mine] = np.array(each, np.float32)[back]
    return weights


def _strongest(pairs: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n]: the largest weight among the events of the same pair."""
    distinct, back = np.unique(pairs, return_inverse=True)
    best = np.zeros(len(distinct), np.float32)
    np.maximum.at(best, back, weights)
    return best[back]


def _bursts(raw: Raw) -> NDArray[np.bool_]:
    """Client events of minutes in which one account sent more than a person can."""
    minute = (raw.times // BURST_SECONDS).astype(np.int64)
    _, back, count = np.unique(
        np.stack([raw.users, minute]), axis=1, return_inverse=True, return_counts=True
    )
    return raw.from_app & (count[back.ravel()] > BURST_EVENTS) if len(count) else raw.from_app


def _impossible(raw: Raw) -> NDArray[np.bool_]:
    """Ratings outside 0..5 and watched shares outside 0..100."""
    rating = raw.kinds == KIND_CODES["rating"]
    play = raw.kinds == KIND_CODES["play"]
    with np.errstate(invalid="ignore"):
        outside = (raw.values < 0) | (rating & (raw.values > 5)) | (play & (raw.values > 100))
    bad: NDArray[np.bool_] = (rating | play) & outside
    return bad
