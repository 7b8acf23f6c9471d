"""Closed-form item weights and counted steps, cut to short lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from recommender.core.data import Float32, History, Int32, Interactions
from recommender.core.errors import TrainingDiverged
from recommender.core.models.base import Model
from recommender.core.models.neighbours import (
    Ease,
    EaseConfig,
    Neighbours,
    Transitions,
    TransitionsConfig,
    newest,
)
from recommender.core.training.base import FitOptions
from recommender.core.training.content import features_of
from recommender.core.training.once import once_per_data
from recommender.core.training.popular import popularity

NEIGHBOURS = 128
LIST_ENTRIES = 1_000_000  # small catalogues may keep longer lists: 4 MB in all
LINES = 512  # rows of a square matrix that are worked on at once
CELLS = 2_000_000  # numbers of a dense block
EVENTS = 65_536  # that are looked at once: what stands around them stays in the caches
SCALE_USERS = 500  # users whose scores set the scale of the two parts


class Lists(NamedTuple):
    """For each item its strongest outgoing weights; column 0 with weight 0 is padding."""

    columns: Int32  # [items, neighbours]
    values: Float32  # [items, neighbours]


@dataclass(frozen=True)
class EaseTrainer:
    name: ClassVar[str] = "ease"
    config: EaseConfig = field(default_factory=EaseConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """Exact weights; `facts` tell what cutting to short lists lost."""
        c = self.config
        told = c.regularization, c.neighbours, c.max_items, c.user_power, c.item_power, c.content
        weights, lost = ease_lists(interactions, *told)
        options.tell(1, 1)
        return Ease(
            c,
            interactions.items,
            Neighbours.packed(*weights),
            _prior(interactions),
            {"cut_loss": lost},
        )


@dataclass(frozen=True)
class TransitionsTrainer:
    name: ClassVar[str] = "transitions"
    config: TransitionsConfig = field(default_factory=TransitionsConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        c = self.config
        weights, lost = nothing(interactions), 0.0
        if c.step_share < 1:
            told = c.regularization, c.neighbours, c.max_items
            weights, lost = ease_lists(interactions, *told)
        options.tell(1, 2)
        counted, lost_steps = step_lists(interactions, c)
        steps, lists = Neighbours.packed(*counted), Neighbours.packed(*weights)
        users = np.random.default_rng(options.seed).permutation(len(interactions.users))
        sample = interactions.histories(np.sort(users[:SCALE_USERS]))
        step_scale = c.step_share / _scale(steps, sample, c.step_half_life)
        ease_scale = (1 - c.step_share) / _scale(lists, sample, c.half_life)
        options.tell(2, 2)
        return Transitions(
            c,
            interactions.items,
            steps,
            lists,
            np.array([step_scale, ease_scale], np.float32),
            _prior(interactions),
            {"cut_loss": lost, "cut_loss_steps": lost_steps},
        )


@once_per_data
def ease_lists(
    interactions: Interactions,
    regularization: float,
    keep: int,
    max_items: int,
    user_power: float = 0.0,
    item_power: float = 0.0,
    content: float = 0.0,
) -> tuple[Lists, float]:
    """EASE weights B with zero diagonal, cut to the `keep` largest |B| of each row.

    Also the share of the squared weights that the cut lost. Only the `max_items` most popular
    items take part.
    """
    n = len(interactions.items)
    keep = keep or max(NEIGHBOURS, LIST_ENTRIES // max(n, 1))
    chosen = np.sort(np.argsort(-interactions.item_counts, kind="stable")[:max_items])
    with_events = chosen[interactions.item_counts[chosen] > 0].astype(np.int32)
    matrix = _matrix(interactions, with_events, user_power)
    # a ridge of its own for each item is one ridge for all after a change of the items' scale
    size = _sizes(interactions.item_counts[with_events], item_power)
    if item_power:
        matrix = matrix.multiply(size).tocsr()
    told = None
    if content and interactions.table is not None:
        features = features_of(interactions.table)
        if features is not None:
            told = features[with_events] * (size[:, None] * np.float32(np.sqrt(content)))
    weights = _precision(matrix, np.float32(max(regularization, 1e-3)), told)
    scale = -np.diag(weights) * size
    for rows in _spans(len(weights), LINES):
        weights[rows] /= scale / size[rows, None]
        if not np.isfinite(weights[rows]).all():
            raise TrainingDiverged("ease: weights are not finite; raise the regularization")
    np.fill_diagonal(weights, 0)
    columns, values, lost = _cut(weights, keep)
    return _placed(columns, values, with_events, n), lost


def _sizes(counts: NDArray[np.int64], power: float) -> Float32:
    """[items], counts^(-power / 2), 1 for an item of the mean count."""
    shares = counts / max(float(counts.sum()) / max(len(counts), 1), 1e-9)
    return (shares ** (-power / 2)).astype(np.float32)


def nothing(interactions: Interactions) -> Lists:
    """Lists without any neighbour."""
    shape = (len(interactions.items), 1)
    return Lists(np.zeros(shape, np.int32), np.zeros(shape, np.float32))


def _matrix(interactions: Interactions, chosen: Int32, user_power: float) -> sparse.csr_matrix:
    """[users, chosen]."""
    shape = (len(interactions.users), len(interactions.items))
    weights = interactions.weights
    if user_power:
        weights = weights * np.sqrt(user_shares(interactions, user_power))
    cells = (weights, interactions.item_rows, interactions.indptr)
    whole = sparse.csr_matrix(cells, shape, dtype=np.float32)
    return whole if len(chosen) == shape[1] else whole[:, chosen]


def user_shares(interactions: Interactions, power: float) -> Float32:
    """[events], 1 / the user's number of events to this power, 1 on average.

    Judged by the user and not by the event, a few long histories must not outvote all others.
    """
    shares = np.maximum(np.diff(interactions.indptr), 1)[interactions.user_rows] ** -power
    return (shares / max(float(shares.mean()) if len(shares) else 1.0, 1e-9)).astype(np.float32)


def _spans(n: int, length: int) -> Iterator[slice]:
    for start in range(0, n, length):
        yield slice(start, min(start + length, n))


def _product(left: Any, right: Any) -> Float32:
    """Dense left · right of sparse matrices; a sparse product of all would be the larger one."""
    right = right.tocsr()
    found = np.empty((left.shape[0], right.shape[1]), np.float32)
    left = left.tocsr()
    for rows in _spans(len(found), LINES):
        found[rows] = (left[rows] @ right).toarray()
    return found


def _precision(matrix: Any, ridge: np.float32, told: Float32 | None = None) -> Float32:
    """(XᵀX + ridge I)⁻¹ for the sparse X [users, items], by the smaller of its two sides.

    With the features `told` [items, width] of the items F Fᵀ is added.
    """
    users, n = matrix.shape
    if told is not None:
        gram = _product(matrix.T, matrix)
        for rows in _spans(n, LINES):
            gram[rows] += told[rows] @ told.T
        return _inverse(gram, ridge)
    if users < n:  # Woodbury
        inner = _inverse(_product(matrix, matrix.T), ridge)
        inverse: Float32 = -(matrix.T @ np.ascontiguousarray((matrix.T @ inner).T)) / ridge
        inverse[np.diag_indices(n)] += 1 / ridge
        return inverse
    return _inverse(_product(matrix.T, matrix), ridge)


def _inverse(gram: Float32, ridge: np.float32) -> Float32:
    """(gram + ridge I)⁻¹ by Cholesky, in the place of `gram`."""
    if not len(gram):
        return gram
    gram[np.diag_indices(len(gram))] += ridge
    # symmetric, so its transpose is itself and in the order that LAPACK writes over
    factor, failed = linalg.lapack.spotrf(gram.T, lower=False, clean=False, overwrite_a=True)
    if not failed:
        factor, failed = linalg.lapack.spotri(factor, lower=False, overwrite_c=True)
    if failed:
        raise TrainingDiverged("ease: the item matrix is not positive; raise the regularization")
    inverse: Float32 = factor.T  # the lower triangle counts
    for rows in _spans(len(inverse), LINES):
        below = slice(rows.stop, None)
        inverse[rows, below] = inverse[below, rows].T
        corner = inverse[rows, rows]
        corner[...] = np.tril(corner) + np.tril(corner, -1).T
    return inverse


def step_lists(interactions: Interactions, c: TransitionsConfig) -> tuple[Lists, float]:
    """Normalised directed steps, cut to short lists; empty without times.

    T[i, j] sums decay^(distance - 1) over users who took j at most `window` events after i.
    Events of one second stand at their mean age and count half in each direction.
    """
    n = len(interactions.items)
    keep = max(1, min(c.neighbours or max(NEIGHBOURS, LIST_ENTRIES // max(n, 1)), n))
    columns: Int32 = np.zeros((n, keep), np.int32)
    values: Float32 = np.zeros((n, keep), np.float32)
    if interactions.times is None or not len(interactions):
        return Lists(columns[:, :1], values[:, :1]), 0.0
    counted = _Steps.of(interactions, c)
    leaving, reaching = counted.sums()
    to = ((reaching + 1) ** -c.to_power).astype(np.float32)
    start = ((leaving + 1) ** -c.from_power).astype(np.float32)
    total = 0.0
    for rows in _spans(n, max(1, min(LINES, CELLS // n))):
        part = counted.block(rows)
        part *= to
        part *= start[rows, None]
        columns[rows], values[rows] = strongest(part, keep)
        total += float(np.vecdot(part, part).sum(dtype=np.float64))
    lost = _left_out(values, total)
    longest = max(1, int(np.count_nonzero(values, axis=1).max()))
    if longest < keep:
        filled = np.argsort(values == 0, axis=1, kind="stable")[:, :longest]
        columns = np.take_along_axis(columns, filled, axis=1)
        values = np.take_along_axis(values, filled, axis=1)
    return Lists(columns, values), lost


@dataclass(frozen=True)
class _Steps:
    """The steps out of each item, counted for a block of items at a time.

    All of them at once would be far more numbers than there are events.
    """

    items: Int32  # [n], of each event; a user's stand together, oldest first
    owner: Int32
    weights: Float32
    age: NDArray[np.float64]  # [n], events of the user that came after; ties share their mean
    by_item: NDArray[np.integer[Any]]  # [n], events sorted by item
    starts: NDArray[np.int64]  # [items + 1], where each item's begin in `by_item`
    tied: bool  # somebody took two items within one second
    config: TransitionsConfig

    @classmethod
    def of(cls, x: Interactions, config: TransitionsConfig) -> _Steps:
        starts = np.concatenate([[0], np.cumsum(x.item_counts)])
        by_item = np.argsort(x.item_rows, kind="stable").astype(np.int32)
        age = _ages(x)
        tied = bool(((age[1:] == age[:-1]) & (x.user_rows[1:] == x.user_rows[:-1])).any())
        return cls(x.item_rows, x.user_rows, x.weights, age, by_item, starts, tied, config)

    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[items] each: all that leaves an item, and all that reaches it."""
        n = len(self.starts) - 1
        leaving, reaching = np.zeros(n), np.zeros(n)
        for part in _spans(len(self.items), EVENTS):
            events = np.arange(part.start, part.stop)
            for first, second, weight in self._from(events):
                leaving += np.bincount(self.items[first], weight, n)
                reaching += np.bincount(self.items[second], weight, n)
        return leaving, reaching

    def block(self, rows: slice) -> Float32:
        """[rows, items]: T of a block of items."""
        n = len(self.starts) - 1
        height = rows.stop - rows.start
        counted = np.zeros(height * n)
        mine = self.by_item[self.starts[rows.start] : self.starts[rows.stop]]
        for part in _spans(len(mine), EVENTS):
            for first, second, weight in self._from(mine[part]):
                cells = (self.items[first] - rows.start) * np.int64(n) + self.items[second]
                np.add.at(counted, cells, weight)
        return counted.reshape(height, n).astype(np.float32)

    def _from(
        self, events: NDArray[np.integer[Any]]
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]]:
        """For each distance the steps out of `events`: from, to and weight.

        Within one second the order is not known: half a step each way.
        """
        n = len(self.items)
        for reach in range(1, self.config.window + 1):
            for way in (reach, -reach) if self.tied else (reach,):
                first = events[(events + way >= 0) & (events + way < n)]
                first = first[self.owner[first] == self.owner[first + way]]
                gap = self.age[first] - self.age[first + way]
                if way < 0:
                    first, gap = first[gap == 0], gap[gap == 0]
                second = first + way
                later = second if way > 0 else first
                weight = self.weights[later] * self.config.decay ** (np.maximum(gap, 1) - 1)
                yield first, second, np.where(gap == 0, weight / 2, weight)


def _ages(x: Interactions) -> NDArray[np.float64]:
    """[n], how many events of the same user came after each; ties share their mean."""
    n = len(x)
    age = (x.indptr[1:][x.user_rows] - 1 - np.arange(n)).astype(np.float64)
    if x.times is not None and n:
        new = np.ones(n, np.bool_)
        new[1:] = (x.times[1:] != x.times[:-1]) | (x.user_rows[1:] != x.user_rows[:-1])
        starts = np.flatnonzero(new)
        counts = np.diff(np.append(starts, n))
        age = np.repeat(age[starts] - (counts - 1) / 2, counts).astype(np.float64)
    return age


def strongest(part: Float32, keep: int) -> tuple[Int32, Float32]:
    """The `keep` largest magnitudes of each row, by column; of equal ones the lower columns."""
    n = part.shape[1]
    size = np.abs(part)
    least = np.partition(size, n - keep, axis=1)[:, n - keep, None]
    above, equal = size > least, size == least
    spare = keep - np.count_nonzero(above, axis=1)
    if np.count_nonzero(equal) > spare.sum():
        equal &= np.cumsum(equal, axis=1, dtype=np.int32) <= spare[:, None]
    columns = np.nonzero(above | equal)[1].reshape(len(part), keep)
    return columns.astype(np.int32), np.take_along_axis(part, columns, axis=1)


def _cut(dense: Float32, keep: int) -> tuple[Int32, Float32, float]:
    """The `keep` largest magnitudes of each row, and the share of squares left out."""
    n = dense.shape[1]
    keep = max(1, min(keep, n))
    columns = np.empty((len(dense), keep), np.int32)
    values = np.empty((len(dense), keep), np.float32)
    total = 0.0
    for rows in _spans(len(dense), LINES):
        columns[rows], values[rows] = strongest(dense[rows], keep)
        total += float(np.vecdot(dense[rows], dense[rows]).sum(dtype=np.float64))
    return columns, values, _left_out(values, total)


def _left_out(kept: Float32, total: float) -> float:
    share = float(np.sum(kept.astype(np.float64) ** 2)) / total if total else 1.0
    return max(0.0, 1 - share)


def _placed(columns: Int32, values: Float32, chosen: Int32, n: int) -> Lists:
    """Lists over the chosen items as lists over all n."""
    width = columns.shape[1]
    all_columns = np.zeros((n, width), np.int32)
    all_values = np.zeros((n, width), np.float32)
    all_columns[chosen] = chosen[columns]
    all_values[chosen] = values
    return Lists(all_columns, all_values)


def _scale(lists: Neighbours, sample: list[History], half_life: float) -> float:
    """The standard deviation of the lists' scores over a sample of users; 1 when all are 0."""
    spreads = []
    for history in sample:
        spreads.append(lists.spread(history, newest(history, half_life)))
        history.noted.clear()
    deviation = float(np.std(np.stack(spreads))) if spreads else 0.0
    return deviation or 1.0


def _prior(interactions: Interactions) -> Float32:
    counted = popularity(interactions)
    return counted / np.float32(max(counted.max(initial=0), 1e-9))
