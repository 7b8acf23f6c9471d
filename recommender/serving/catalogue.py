"""Every published course as a few columns, remembered by each process for some seconds.

What decides whether a course may be shown (withdrawn, hidden, owned) is read from the tables at
each feed; this copy only says where to look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from content.models import Course
from feedback.models import Event
from kernel import clock
from kernel.memory import give_back
from recommender.core.data import History
from recommender.labels import CategoryTree, read_tree
from recommender.models import FeedRule
from recommender.serving.holder import Loaded

CATALOGUE_SECONDS = 30.0
RULES_SECONDS = 5.0
NEW_DAYS = 30
NEW_POOL = 60  # of the newest courses compete for the exploration slots
FEW_LEARNERS = 20  # a course with more is known well enough to stand on its own
LEAST_CHANCE = 0.0005  # added to each course's chance: nobody is out for good
GRID = 1000  # click rates at which chances are integrated
FRESH = np.float32(0.1)  # share of newness in the list for everybody

COLUMNS_SQL = f"""
SELECT id, COALESCE(category_id, 0), COALESCE(creator_id, 0),
       COALESCE(hot_score, 0)::float8, learner_count + rating_count,
       COALESCE(extract(epoch FROM published_at), 0)::float8, in_membership
FROM {Course._meta.db_table}
WHERE status = 'published'
ORDER BY id
"""  # noqa: S608  (names of our own tables)

# Exposures and clicks of the newest courses, for Thompson sampling.
ANSWERS_SQL = f"""
SELECT course_id, count(*) FILTER (WHERE type = 'impression'),
       count(*) FILTER (WHERE type = 'click')
FROM {Event._meta.db_table}
WHERE course_id = ANY(%s) AND type IN ('impression', 'click')
GROUP BY course_id
"""  # noqa: S608


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Parallel columns over the published courses, by ascending id."""

    ids: NDArray[np.int64]  # [n]
    category: NDArray[np.int64]  # [n], category ids, 0 for none
    creator: NDArray[np.int64]  # [n]
    popularity: NDArray[np.float32]  # [n], 0 to 1; all 0 when nothing is known
    published: NDArray[np.float64]  # [n], Unix seconds
    in_membership: NDArray[np.bool_]  # [n]
    newest: NDArray[np.float32]  # [n], 1 for the newest down to 0, by rank
    pool: NDArray[np.int64]  # [p], positions of new courses that want exposure
    pool_chance: NDArray[np.float64]  # [p], probability of each to be drawn, sums to 1
    tree: CategoryTree

    def at(self, course_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of those courses that are published; others are left out."""
        if not len(self.ids) or not len(course_ids):
            return np.empty(0, np.int64)
        found = np.minimum(np.searchsorted(self.ids, course_ids), len(self.ids) - 1)
        there: NDArray[np.int64] = found[self.ids[found] == course_ids]
        return there


def read_catalogue() -> Catalogue:
    """Three queries: the courses, the categories, and the answers to the newest."""
    give_back()  # as good a moment as any that comes back every half a minute
    columns = _columns()
    ids, learners, published = columns[0].astype(np.int64), columns[4], columns[5]
    popularity = _popularity(columns[3], learners)
    pool = _pool(published, learners)
    return Catalogue(
        ids=ids,
        category=columns[1].astype(np.int64),
        creator=columns[2].astype(np.int64),
        popularity=popularity,
        published=published,
        in_membership=columns[6].astype(np.bool_),
        newest=_by_rank(published),
        pool=pool,
        pool_chance=_thompson(ids[pool]),
        tree=read_tree(),
    )


def _columns() -> NDArray[np.float64]:
    """[7, n]. Row by row: a list of all rows would leave holes in the process's memory."""
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS_SQL)
        table = np.empty((7, cursor.rowcount), np.float64)
        for n, row in enumerate(cursor):
            table[:, n] = row
    return table


def _popularity(hot: NDArray[np.float64], learners: NDArray[np.float64]) -> NDArray[np.float32]:
    """[n] in 0..1: the log of the hot score, of the learners where no course has one."""
    count = np.log1p(np.maximum(hot if hot.any() else learners, 0))
    largest = count.max(initial=0)
    return (count / largest if largest > 0 else count).astype(np.float32)


def _by_rank(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """[n]: 1 for the largest, down to just above 0; equal values by the higher position."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values), np.float32)
    ranks[order] = np.arange(1, len(values) + 1, dtype=np.float32) / max(len(values), 1)
    return ranks


def _pool(published: NDArray[np.float64], learners: NDArray[np.float64]) -> NDArray[np.int64]:
    since = clock.timestamp() - NEW_DAYS * 86_400
    fresh = np.flatnonzero((published >= since) & (learners < FEW_LEARNERS))
    return fresh[np.argsort(-published[fresh], kind="stable")][:NEW_POOL]


def _thompson(ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """[p]: how often each course would win Thompson sampling over its Beta posterior.

    Drawing by these chances is the same policy, with a propensity that is known exactly.
    """
    if not len(ids):
        return np.empty(0, np.float64)
    with connection.cursor() as cursor:
        cursor.execute(ANSWERS_SQL, [ids.tolist()])
        answers = {int(c): (int(shown), int(clicked)) for c, shown, clicked in cursor.fetchall()}
    shown, clicked = np.array([answers.get(int(c), (0, 0)) for c in ids], np.float64).T
    won = chances_of_winning(clicked, np.maximum(shown - clicked, 0))
    kept = won + LEAST_CHANCE
    chance: NDArray[np.float64] = kept / kept.sum()
    return chance


def chances_of_winning(
    hits: NDArray[np.float64], misses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[p], sums to 1: the chance that a draw from Beta(1 + hits, 1 + misses) is the largest.

    The integral of each density times the product of the others' distributions, on a grid.
    """
    rate = (np.arange(GRID) + 0.5) / GRID
    density = hits[:, None] * np.log(rate) + misses[:, None] * np.log1p(-rate)
    density = np.exp(density - density.max(axis=1, keepdims=True))
    density /= density.sum(axis=1, keepdims=True)
    below = np.log(np.maximum(np.cumsum(density, axis=1) - density / 2, 1e-300))
    won = (density * np.exp(below.sum(axis=0) - below)).sum(axis=1)
    shares: NDArray[np.float64] = won / won.sum()
    return shares


@dataclass(frozen=True, eq=False)
class Stock:
    """The catalogue beside the model's rows."""

    catalogue: Catalogue
    loaded: Loaded | None
    rows: NDArray[np.int32]  # [n], the model's row of each course, -1 where it knows none
    known: NDArray[np.bool_]  # [n]
    calm: NDArray[np.float32]  # [n] in 0..1, the same for everybody: popular and a little new
    step: str  # what `calm` rests on: "popular" or "newest"


def stock_of(catalogue: Catalogue, loaded: Loaded | None) -> Stock:
    """Remembered until the catalogue or the model is another one."""
    kept = _stocks.get("one")
    if kept is not None and kept.catalogue is catalogue and kept.loaded is loaded:
        return kept
    if loaded is not None:
        rows = loaded.rows(catalogue.ids)
    else:
        rows = np.full(len(catalogue.ids), -1, np.int32)
    stock = Stock(catalogue, loaded, rows, rows >= 0, *_calm(catalogue, loaded, rows))
    _stocks["one"] = stock
    return stock


def _calm(
    catalogue: Catalogue, loaded: Loaded | None, rows: NDArray[np.int32]
) -> tuple[NDArray[np.float32], str]:
    """The shop's figures, else what the model learned, else the newest first."""
    popular = catalogue.popularity
    known = rows >= 0
    if not popular.any() and loaded is not None and known.any():
        learned = loaded.model.score_one(History.of([]))
        popular = np.zeros(len(catalogue.ids), np.float32)
        popular[known] = unit(learned[rows[known]])
    if not popular.any():
        return catalogue.newest, "newest"
    return (1 - FRESH) * popular + FRESH * catalogue.newest, "popular"


def unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """To 0..1 by the smallest and the largest; all ones where they are equal."""
    if not len(values):
        return values
    low, high = values.min(), values.max()
    if high <= low:
        return np.ones(len(values), np.float32)
    scaled: NDArray[np.float32] = (values - low) / (high - low)
    return scaled


_stocks: dict[str, Stock] = {}


class Remembered:
    """A value read again at most every `seconds`; one thread reads while others use the old."""

    def __init__(self, read: Callable[[], Any], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._lock = threading.Lock()
        self._value: Any = None
        self._fresh_until = 0.0

    def get(self) -> Any:
        value = self._value
        stale = value is None or time.monotonic() >= self._fresh_until
        if stale and self._lock.acquire(blocking=value is None):
            try:
                if self._value is None or time.monotonic() >= self._fresh_until:
                    self._value = self._read()
                    self._fresh_until = time.monotonic() + self._seconds
            finally:
                self._lock.release()
            value = self._value
        return value

    def forget(self) -> None:
        self._value = None


def read_rules() -> list[FeedRule]:
    return list(FeedRule.objects.filter(active=True).order_by("position", "pk"))


catalogue_cache = Remembered(read_catalogue, CATALOGUE_SECONDS)
rules_cache = Remembered(read_rules, RULES_SECONDS)


def forget_all() -> None:
    """Read everything anew at the next feed of this process."""
    catalogue_cache.forget()
    rules_cache.forget()
    _stocks.clear()
