"""Item-item models published as short lists: EASE, and transitions blended with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params, over_history
from recommender.core.models.pasts import spans
from recommender.core.models.recency import recency

NEWEST = 50  # with recency on, older items weigh next to nothing
NEWEST_WITHOUT_TIMES = 500
PRIOR = np.float32(1e-4)  # popularity orders only what no neighbour reaches


class Reached(NamedTuple):
    """The lists of some past items one after the other."""

    columns: NDArray[np.int64]  # [entries], the item that is reached
    owner: NDArray[np.int64]  # [entries], the place of the past item
    values: Float32  # [entries]
    source: NDArray[Any]  # of the values: while it lives, nothing else has its id


@dataclass(frozen=True, eq=False)
class Neighbours:
    """For each item its strongest outgoing weights, one list after the other.

    Half precision, short columns and no padding: a web worker keeps these pages resident, and a
    rounding of one part in two thousand is far below what separates two courses.
    """

    starts: NDArray[np.int32]  # [items + 1], where each item's list begins
    columns: NDArray[np.integer[Any]]  # [entries], uint16; int32 above 65,536 items
    values: NDArray[np.floating[Any]]  # [entries], float16

    @classmethod
    def packed(cls, columns: NDArray[np.integer[Any]], values: Float32) -> Neighbours:
        """Of lists [items, any] without their zeros; beyond float16's range they are clipped."""
        limit = np.float32(np.finfo(np.float16).max)
        halves = np.clip(values, -limit, limit).astype(np.float16)
        kept = halves != 0
        starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
        short = np.uint16 if len(columns) <= 1 << 16 else np.int32
        return cls(starts, columns[kept].astype(short), halves[kept])

    @classmethod
    def stored(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Neighbours:
        """What `arrays` named."""
        return cls(*(arrays[prefix + name] for name in ("starts", "columns", "values")))

    def arrays(self, prefix: str = "") -> Arrays:
        return {prefix + name: array for name, array in vars(self).items()}

    def spread(self, past: History, counted: Float32) -> Float32:
        """[items]: the lists of the newest past items, each times its part of `counted`."""
        reached = self._reached(past, len(counted))
        summed = np.bincount(
            reached.columns, counted[reached.owner] * reached.values, len(self.starts) - 1
        )
        return summed.astype(np.float32)

    def between(self, past: History, newest: int, item_rows: Int32) -> Float32:
        """[item_rows, newest]: the weight from each of the newest past items to each asked."""
        reached = self._reached(past, newest)
        key = id(self.values), newest, item_rows.tobytes()
        if key not in past.noted:
            past.noted[key] = self._between(reached, newest, item_rows)
        found: Float32 = past.noted[key]
        return found

    def _between(self, reached: Reached, newest: int, item_rows: Int32) -> Float32:
        place = np.full(len(self.starts) - 1, -1, np.int32)
        place[item_rows] = np.arange(len(item_rows))
        where = place[reached.columns]
        hit = np.flatnonzero(where >= 0)
        cells = where[hit] * np.int64(newest) + reached.owner[hit]
        summed = np.bincount(cells, reached.values[hit], len(item_rows) * newest)
        found: Float32 = summed.reshape(-1, newest).astype(np.float32)[place[item_rows]]
        return found

    def _reached(self, past: History, newest: int) -> Reached:
        """Gathered once for a history: members of a stack that hold the same lists share it."""
        key = id(self.values), newest
        if key not in past.noted:
            at, owner = spans(self.starts, past.rows[len(past) - newest :])
            columns = self.columns[at].astype(np.int64)
            values = self.values[at].astype(np.float32)
            past.noted[key] = Reached(columns, owner, values, self.values)
        found: Reached = past.noted[key]
        return found

    def best(self, row: int, k: int) -> tuple[Int32, Float32]:
        """Up to k neighbours of one item with positive weight, best first."""
        span = slice(self.starts[row], self.starts[row + 1])
        columns, values = self.columns[span], self.values[span]
        order = np.lexsort((columns, -values))
        order = order[(values[order] > 0) & (columns[order] != row)][:k]
        return columns[order].astype(np.int32), values[order].astype(np.float32)


@dataclass(frozen=True)
class EaseConfig:
    """Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data".

    A ridge that grows with an item's users is the dropout of Steck 2020; what the catalogue says
    as further rows of the matrix is the collective EASE of Jeunen, Van Balen, Goethals 2020.
    """

    regularization: float = 300.0
    neighbours: int = 0  # a list; 0: 128, or more where the catalogue is small
    half_life: float = 10.0  # events; 0 or a history without times: all count the same
    max_items: int = 20_000  # the most popular; the closed form needs a square of them
    user_power: float = 0.0  # a user counts 1 / length^this an event: 1, and all weigh the same
    item_power: float = 0.0  # an item's ridge grows with its users^this; at the mean it is the same
    content: float = 0.0  # one user counts 1, full agreement of a block of content this


@dataclass(frozen=True)
class TransitionsConfig:
    """Directed steps between items of one user, and EASE on the recency-discounted history."""

    regularization: float = 300.0
    neighbours: int = 0  # a list; 0: 128, or more where the catalogue is small
    half_life: float = 10.0  # events, of the EASE part
    step_half_life: float = 2.0  # events, of the steps
    step_share: float = 0.5  # of the steps in the blend
    window: int = 10  # how far apart two items of a step may be
    decay: float = 0.8  # a step over one more event counts this much less
    from_power: float = 0.75  # normalisation by what leaves the first item
    to_power: float = 0.25  # and by what reaches the second
    max_items: int = 20_000


@dataclass(frozen=True, eq=False)
class Ease(Model):
    """Closed-form item weights, cut to the strongest `neighbours` of each item."""

    name: ClassVar[str] = "ease"

    config: EaseConfig
    items: IdMap
    weights: Neighbours
    popularity: Float32  # [items], log counts over their largest
    found: Params = field(default_factory=dict)

    def score_one(self, history: History) -> Float32:
        past = history.restricted(len(self.items))
        spread = self.weights.spread(past, newest(past, self.config.half_life))
        spread += PRIOR * self.popularity
        return spread

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Exact: a row sums to the item's score less its share of PRIOR."""
        past = history.restricted(len(self.items))
        part = _between(self.weights, past, self.config.half_life, item_rows)
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return _similar(self.weights, item_rows, k)

    def arrays(self) -> Arrays:
        return self.weights.arrays() | {"popularity": self.popularity}

    def params(self) -> Params:
        return asdict(self.config)

    def facts(self) -> Params:
        return self.found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        weights = Neighbours.stored(arrays)
        return cls(EaseConfig(**params), items, weights, arrays["popularity"])


@dataclass(frozen=True, eq=False)
class Transitions(Model):
    """Where people go next from their last items, blended with EASE.

    The lists are those of the parts alone, so that a stack which holds both stores them once.
    """

    name: ClassVar[str] = "transitions"

    config: TransitionsConfig
    items: IdMap
    steps: Neighbours
    weights: Neighbours
    scales: Float32  # [2], of steps and weights: the share in the blend over their deviation
    popularity: Float32  # [items], log counts over their largest
    found: Params = field(default_factory=dict)

    def score_one(self, history: History) -> Float32:
        past = history.restricted(len(self.items))
        stepped, weighed = self.scales
        spread: Float32 = stepped * self.steps.spread(
            past, newest(past, self.config.step_half_life)
        )
        if self.config.step_share < 1:
            spread += weighed * self.weights.spread(past, newest(past, self.config.half_life))
        spread += PRIOR * self.popularity
        return spread

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Exact: a row sums to the item's score less its share of PRIOR."""
        past = history.restricted(len(self.items))
        stepped, weighed = self.scales
        part: Float32 = stepped * _between(self.steps, past, self.config.step_half_life, item_rows)
        if self.config.step_share < 1:
            part += weighed * _between(self.weights, past, self.config.half_life, item_rows)
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        lists = self.weights if self.config.step_share < 1 else self.steps
        return _similar(lists, item_rows, k)

    def arrays(self) -> Arrays:
        own: Arrays = {"scales": self.scales, "popularity": self.popularity}
        return self.steps.arrays("step_") | self.weights.arrays() | own

    def params(self) -> Params:
        return asdict(self.config)

    def facts(self) -> Params:
        return self.found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        return cls(
            TransitionsConfig(**params),
            items,
            Neighbours.stored(arrays, "step_"),
            Neighbours.stored(arrays),
            arrays["scales"],
            arrays["popularity"],
        )


def newest(past: History, half_life: float) -> Float32:
    """Recency-discounted weights of the newest items, those that still count; oldest first."""
    timed = half_life > 0 and past.times is not None
    limit = NEWEST if timed else NEWEST_WITHOUT_TIMES
    return (past.weights * recency(past, half_life))[-limit:]


def _between(lists: Neighbours, past: History, half_life: float, item_rows: Int32) -> Float32:
    """[item_rows, past]: the part of each past item, 0 for those too old to count."""
    counted = newest(past, half_life)
    part = np.zeros((len(item_rows), len(past)), np.float32)
    if len(counted):
        part[:, -len(counted) :] = lists.between(past, len(counted), item_rows) * counted
    return part


def _similar(weights: Neighbours, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
    found = np.full((len(item_rows), k), -1, np.int32)
    scores = np.zeros((len(item_rows), k), np.float32)
    for n, row in enumerate(item_rows):
        columns, values = weights.best(int(row), k)
        found[n, : len(columns)] = columns
        scores[n, : len(columns)] = values
    return found, scores
