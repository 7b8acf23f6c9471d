"""The only bridge from tables to arrays: what a training learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from accounts.models import User
from content.models import Category, Course, Creator, Lesson
from content.richtext import plain_text
from feedback.models import CourseHide, Event, LessonProgress
from payments.models import Product
from recommender import rules
from recommender.config import cleaning_config, matrix_config
from recommender.core.cleaning import CleaningConfig, CleaningReport, Log, clean
from recommender.core.data import (
    KIND_CODES,
    KINDS,
    MOST_VALUE,
    VERIFIED,
    Float32,
    IdMap,
    Interactions,
    ItemTable,
    UserTable,
)
from recommender.core.matrix import MatrixConfig, event_strengths, weighted
from recommender.labels import read_labels
from recommender.models import FeedRequest, TagDeletion

CHUNK = 20_000


def _table(model: Any) -> str:
    return str(model._meta.db_table)


ITEMS_SQL = f"""
SELECT c.id, c.title, c.subtitle, c.intro, k.name, c.tag_names, w.nickname,
       extract(epoch FROM c.published_at)::float8, p.price_fen
FROM {_table(Course)} c
LEFT JOIN {_table(Category)} k ON k.id = c.category_id
LEFT JOIN {_table(Creator)} w ON w.id = c.creator_id
LEFT JOIN {_table(Product)} p ON p.id = c.product_id
WHERE c.status = 'published' ORDER BY c.id
"""  # noqa: S608  (names of our own tables)

# What a learner waved off, or took out of the portrait with a tag or a category, says nothing.
# A category is known by its key as well: operators rename categories, keys stay.
UNSAID = f"""
NOT EXISTS (
    SELECT 1 FROM {_table(CourseHide)} h WHERE h.user_id = e.user_id AND h.course_id = e.course_id)
AND NOT EXISTS (
    SELECT 1 FROM {_table(TagDeletion)} d LEFT JOIN {_table(Category)} k ON k.id = c.category_id
    WHERE d.user_id = e.user_id AND (d.tag = ANY(c.tag_names) OR d.tag IN (k.name, k.key)))
"""  # noqa: S608  (names of our own tables)

# Interactions with what is on the shelf: reported ones, the server's facts, and last how much of
# each course the server saw watched. Left out: impressions, searches, ratings before the share.
EVENTS_SQL = f"""
SELECT e.user_id, e.course_id, array_position(%(kinds)s::text[], e.type::text) - 1, e.value,
       extract(epoch FROM e.occurred_at)::float8, e.origin = 'server',
       COALESCE(e.user_id = w.user_id, false), l.duration_seconds
FROM {_table(Event)} e
JOIN {_table(Course)} c ON c.id = e.course_id AND c.status = 'published'
LEFT JOIN {_table(Creator)} w ON w.id = c.creator_id
LEFT JOIN {_table(Lesson)} l ON l.id = e.lesson_id AND l.duration_seconds > 0
WHERE e.type NOT IN ('impression', 'search') AND e.counted AND {UNSAID}
UNION ALL
SELECT e.user_id, e.course_id, {VERIFIED},
       LEAST(sum(e.percent)::float8 / GREATEST(max(c.lesson_count), 1), 100),
       extract(epoch FROM max(e.clock_at))::float8, true,
       COALESCE(bool_or(e.user_id = w.user_id), false), NULL
FROM {_table(LessonProgress)} e
JOIN {_table(Course)} c ON c.id = e.course_id AND c.status = 'published'
LEFT JOIN {_table(Creator)} w ON w.id = c.creator_id
WHERE e.percent > 0 AND {UNSAID}
GROUP BY e.user_id, e.course_id
"""  # noqa: S608

# How likely the feed was to show the course, where the learner first acted on it out of one.
SHOWN_SQL = f"""
SELECT DISTINCT ON (e.user_id, e.course_id) e.user_id, e.course_id,
       f.propensities[array_position(f.items, e.course_id)]
FROM {_table(Event)} e
JOIN {_table(FeedRequest)} f ON f.request_id = e.request_id AND f.user_id = e.user_id
WHERE e.request_id IS NOT NULL AND e.type NOT IN ('impression', 'search')
  AND e.course_id = ANY(f.items)
ORDER BY e.user_id, e.course_id, e.occurred_at, e.id
"""  # noqa: S608

COLUMNS = (
    np.int64, np.int64, np.uint8, np.float32, np.float64, np.bool_, np.bool_, np.float32,
)  # fmt: skip


@dataclass(frozen=True)
class Cleaning:
    """What the cleaning left out, by cause; the raw log keeps everything."""

    report: CleaningReport
    pairs: int = 0

    @property
    def left_out(self) -> dict[str, int]:
        return self.report.left_out

    def as_json(self) -> dict[str, Any]:
        return {**self.report.as_json(), "pairs": self.pairs}


def sources_of(users: IdMap, rows: Sequence[int]) -> dict[int, str]:
    """The imported data set of each of these user rows that came with one."""
    keys = {int(users.id(row)): row for row in rows}
    imported = User.objects.filter(pk__in=keys, username__startswith="ds_")
    named = imported.values_list("pk", "username")
    return {keys[pk]: name.removeprefix("ds_").rpartition(":")[0] for pk, name in named}


def snapshot(params: Mapping[str, Any] | None = None) -> tuple[Interactions, Cleaning]:
    """All usable interactions of one moment, weighted by the interaction matrix.

    With them what the catalogue says of the courses, what the learners told of themselves, and
    the propensities that feeds logged. `params` changes the matrix for this snapshot. Item ids
    are the published courses' keys as text: courses that nobody has touched are candidates too.
    Rows come through a server-side cursor in chunks, so memory holds columns alone.
    """
    outermost = not connection.in_atomic_block  # only then can the isolation still be chosen
    with transaction.atomic():
        with connection.cursor() as cursor:
            if outermost:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(ITEMS_SQL)
            shelf = cursor.fetchall()
        log = columns(chunks())
        shown = columns_of(chunks(SHOWN_SQL), (np.int64, np.int64, np.float32))
        told = read_labels()
    courses = [row[0] for row in shelf]
    interactions, cleaning = cleaned(log, courses, cleaning_config(), matrix_config(params))
    users = np.array(interactions.users.ids(range(len(interactions.users))), np.int64)
    return (
        replace(
            interactions,
            propensities=propensities(interactions, users, np.array(courses, np.int64), shown),
            table=described(shelf),
            people=UserTable([told.get(user, ()) for user in users.tolist()]) if told else None,
        ),
        cleaning,
    )


def told_of(interactions: Interactions) -> dict[str, Any]:
    """For the lineage: beside interactions, what there was to learn from."""
    x, table = interactions, interactions.table
    logged = 0 if x.propensities is None else int(np.isfinite(x.propensities).sum())
    return {
        "cold_items": int((x.item_counts == 0).sum()),
        "labelled_users": sum(map(bool, x.people.labels)) if x.people else 0,
        "propensities": logged,
        "blocks": sorted(table.blocks) if table else [],
    }


def propensities(
    interactions: Interactions,
    users: NDArray[np.int64],
    courses: NDArray[np.int64],
    shown: Sequence[NDArray[Any]],
) -> Float32 | None:
    """[interactions], NaN where no feed led to it; None where none did.

    `users` and `courses` are the table keys of the rows, both ascending; `shown` holds the
    columns of SHOWN_SQL.
    """
    user, course, chance = shown
    kept = np.isin(user, users) & np.isin(course, courses)
    if not kept.any():
        return None
    width = len(courses)
    rows = np.searchsorted(users, user[kept]) * width + np.searchsorted(courses, course[kept])
    order = np.argsort(rows)
    rows, chance = rows[order], chance[kept][order]
    wanted = interactions.user_rows.astype(np.int64) * width + interactions.item_rows
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    found: Float32 = np.where(rows[places] == wanted, chance[places], np.nan).astype(np.float32)
    return None if np.isnan(found).all() else found


def described(shelf: Sequence[tuple[Any, ...]]) -> ItemTable:
    """What the catalogue says about each row of ITEMS_SQL: courses without takers live by it."""
    return ItemTable(
        titles=[title for _, title, *_ in shelf],
        texts=[f"{subtitle}\n{plain_text(intro)}" for _, _, subtitle, intro, *_ in shelf],
        categories=[row[4] or "" for row in shelf],
        tags=[tuple(row[5]) for row in shelf],
        creators=[row[6] or "" for row in shelf],
        published_at=np.array([row[7] for row in shelf], np.float64),
        price_fen=np.array([-1 if row[8] is None else row[8] for row in shelf], np.int64),
    )


def chunks(query: str = EVENTS_SQL) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of `query`, CHUNK at a time; the server keeps the rest."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, {"kinds": list(KINDS)})
        while rows := cursor.fetchmany(CHUNK):
            yield rows


def columns(parts: Iterator[list[tuple[Any, ...]]]) -> Log:
    """One array per column; `users` and `items` are table keys, time 0 is an unknown one."""
    users, items, kinds, values, times, trusted, own, seconds = columns_of(parts, COLUMNS)
    times[times <= 0] = np.nan  # imported without
    return Log(users, items, kinds, values, times, trusted, own, seconds)


def columns_of(
    parts: Iterator[list[tuple[Any, ...]]], types: Sequence[type[np.generic]]
) -> list[NDArray[Any]]:
    """The columns of all rows, one array per type."""
    found: list[list[NDArray[Any]]] = [[np.empty(0, kind)] for kind in types]
    for rows in parts:
        for kept, told, kind in zip(found, zip(*rows, strict=True), types, strict=True):
            if kind is np.float32:  # None is NaN, and so is what no scale has
                numbers = np.array(told, np.float64)
                numbers[np.abs(numbers) > MOST_VALUE] = np.nan
                kept.append(numbers.astype(np.float32))
            else:
                kept.append(np.array(told, kind))
    return [np.concatenate(kept) for kept in found]


def cleaned(
    log: Log,
    courses: list[int],
    cleaning: CleaningConfig | None = None,
    matrix: MatrixConfig | None = None,
) -> tuple[Interactions, Cleaning]:
    """Interactions of `log` over `courses`, and the report of what was left out.

    A pair with a low rating says nothing good about the course: all of its events go.
    """
    matrix = matrix or MatrixConfig()
    sieve = clean(log, cleaning)
    users, user_rows = np.unique(log.users, return_inverse=True)
    catalogue = np.array(courses, np.int64)
    item_rows = np.searchsorted(catalogue, log.items)
    pair = user_rows.ravel().astype(np.int64) * max(len(courses), 1) + item_rows
    rating = log.kinds == KIND_CODES["rating"]
    with np.errstate(invalid="ignore"):
        low = sieve.kept & rating & (log.values <= rules.DISLIKE_STARS)
    sieve.leave("low_rating", np.isin(pair, pair[low]))
    sieve.leave("no_signal", ~rating & (event_strengths(log, matrix, 0.0) <= 0))
    kept = log.take(sieve.kept)
    people, rows = np.unique(user_rows.ravel()[sieve.kept], return_inverse=True)
    built = Interactions.build(
        users=IdMap.from_ids(str(users[u]) for u in people),
        items=IdMap.from_ids(str(course) for course in courses),
        user_rows=rows.ravel(),
        item_rows=item_rows[sieve.kept],
        values=kept.values,
        times=kept.times,
        kinds=kept.kinds,
    )
    by_row = Log(
        rows.ravel().astype(np.int64),
        item_rows[sieve.kept].astype(np.int64),
        kept.kinds,
        kept.values,
        kept.times,
        kept.trusted,
        kept.own,
        kept.seconds,
    )
    return weighted(built, by_row, matrix), Cleaning(sieve.report, len(built))
