"""Closed-form item weights and counted steps, cut to short lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from recommender.core.data import Float32, Int32, Interactions
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
from recommender.core.models.recency import ages
from recommender.core.training.base import FitOptions
from recommender.core.training.once import once_per_data
from recommender.core.training.popular import popularity

NEIGHBOURS = 128
LIST_ENTRIES = 1_000_000  # small catalogues may keep longer lists: 4 MB in all
SCALE_USERS = 500  # users whose scores set the scale of the two parts


@dataclass(frozen=True)
class EaseTrainer:
    name: ClassVar[str] = "ease"
    config: EaseConfig = field(default_factory=EaseConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """Exact weights; `facts` tell what cutting to short lists lost."""
        c = self.config
        told = c.regularization, c.neighbours, c.max_items, c.user_power
        weights, lost = ease_lists(interactions, *told)
        options.tell(1, 1)
        packed = Neighbours.packed(weights.columns, weights.values)
        return Ease(c, interactions.items, packed, _prior(interactions), {"cut_loss": lost})


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
        steps, lost_steps = step_lists(interactions, c)
        users = np.random.default_rng(options.seed).permutation(len(interactions.users))
        sample = interactions.histories(np.sort(users[:SCALE_USERS]))
        step_scale = c.step_share / _scale(steps, sample, c.step_half_life)
        ease_scale = (1 - c.step_share) / _scale(weights, sample, c.half_life)
        options.tell(2, 2)
        return Transitions(
            c,
            interactions.items,
            Neighbours.packed(steps.columns, steps.values * np.float32(step_scale)),
            Neighbours.packed(weights.columns, weights.values * np.float32(ease_scale)),
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
) -> tuple[Neighbours, float]:
    """EASE weights B with zero diagonal, cut to the `keep` largest |B| of each row.

    Also the share of the squared weights that the cut lost. Only the `max_items` most popular
    items take part.
    """
    n = len(interactions.items)
    keep = keep or max(NEIGHBOURS, LIST_ENTRIES // max(n, 1))
    chosen = np.sort(np.argsort(-interactions.item_counts, kind="stable")[:max_items])
    with_events = chosen[interactions.item_counts[chosen] > 0].astype(np.int32)
    matrix = _matrix(interactions, user_power)[:, with_events]
    inverse = _precision(matrix, np.float32(max(regularization, 1e-3)))
    weights = inverse
    weights /= -np.diag(inverse)[None, :].copy()
    np.fill_diagonal(weights, 0)
    if not np.isfinite(weights).all():
        raise TrainingDiverged("ease: weights are not finite; raise the regularization")
    columns, values, lost = _cut(weights, keep)
    return _placed(columns, values, with_events, n), lost


def nothing(interactions: Interactions) -> Neighbours:
    """Lists without any neighbour."""
    shape = (len(interactions.items), 1)
    return Neighbours(np.zeros(shape, np.int32), np.zeros(shape, np.float32))


def _matrix(interactions: Interactions, user_power: float) -> sparse.csr_matrix:
    shape = (len(interactions.users), len(interactions.items))
    rows = (interactions.user_rows, interactions.item_rows)
    weights = interactions.weights * np.sqrt(user_shares(interactions, user_power))
    return sparse.csr_matrix((weights, rows), shape, dtype=np.float32)


def user_shares(interactions: Interactions, power: float) -> Float32:
    """[events], 1 / the user's number of events to this power, 1 on average.

    Judged by the user and not by the event, a few long histories must not outvote all others.
    """
    shares = np.maximum(np.diff(interactions.indptr), 1)[interactions.user_rows] ** -power
    return (shares / max(float(shares.mean()) if len(shares) else 1.0, 1e-9)).astype(np.float32)


def _precision(matrix: Any, ridge: np.float32) -> Float32:
    """(XᵀX + ridge I)⁻¹ for the sparse X [users, items], by the smaller of its two sides."""
    users, n = matrix.shape
    if users < n:  # Woodbury
        inner = _inverse((matrix @ matrix.T).toarray(), ridge)
        inverse: Float32 = -(matrix.T @ np.ascontiguousarray((matrix.T @ inner).T)) / ridge
        inverse[np.diag_indices(n)] += 1 / ridge
        return inverse
    return _inverse((matrix.T @ matrix).toarray(), ridge)


def _inverse(gram: Float32, ridge: np.float32) -> Float32:
    """(gram + ridge I)⁻¹ by Cholesky; `gram` is overwritten."""
    if not len(gram):
        return gram
    gram[np.diag_indices(len(gram))] += ridge
    factor, failed = linalg.lapack.spotrf(gram, lower=False, overwrite_a=True)
    if not failed:
        factor, failed = linalg.lapack.spotri(factor, lower=False, overwrite_c=True)
    if failed:
        raise TrainingDiverged("ease: the item matrix is not positive; raise the regularization")
    inverse: Float32 = np.triu(factor)
    inverse += np.triu(factor, 1).T
    return inverse


def step_lists(interactions: Interactions, c: TransitionsConfig) -> tuple[Neighbours, float]:
    """Normalised directed steps, cut to short lists; empty without times.

    T[i, j] sums decay^(distance - 1) over users who took j at most `window` events after i.
    Events of one second stand at their mean age and count half in each direction.
    """
    n = len(interactions.items)
    counted = sparse.csr_matrix((n, n), dtype=np.float64)
    if interactions.times is not None:
        age = _ages(interactions)
        for reach in range(1, c.window + 1):
            counted = counted + _steps(interactions, age, reach, c.decay)
    leaving = np.asarray(counted.sum(axis=1)).ravel() + 1
    reaching = np.asarray(counted.sum(axis=0)).ravel() + 1
    scaled = sparse.diags(leaving**-c.from_power) @ counted @ sparse.diags(reaching**-c.to_power)
    keep = c.neighbours or max(NEIGHBOURS, LIST_ENTRIES // max(n, 1))
    return _cut_sparse(scaled.tocsr(), keep)


def _ages(interactions: Interactions) -> NDArray[np.float64]:
    """[n], how many events of the same user came after each; ties share their mean."""
    age = np.empty(len(interactions), np.float64)
    times, ends = interactions.times, interactions.indptr
    if times is not None:
        for start, end in zip(ends[:-1], ends[1:], strict=True):
            if end > start:
                age[start:end] = ages(times[start:end])
    return age


def _steps(
    interactions: Interactions, age: NDArray[np.float64], reach: int, decay: float
) -> sparse.csr_matrix:
    """[items, items]: steps between events that stand `reach` rows apart."""
    n, items = len(interactions.items), interactions.item_rows
    first = np.arange(max(len(items) - reach, 0))
    first = first[interactions.user_rows[first] == interactions.user_rows[first + reach]]
    second = first + reach
    gap = age[first] - age[second]
    weight = interactions.weights[second] * decay ** (np.maximum(gap, 1) - 1)
    tied = gap == 0
    weight = np.where(tied, weight / 2, weight)
    rows = np.concatenate([items[first], items[second][tied]])
    columns = np.concatenate([items[second], items[first][tied]])
    values = np.concatenate([weight, weight[tied]])
    return sparse.coo_matrix((values, (rows, columns)), (n, n)).tocsr()


def _cut(dense: Float32, keep: int) -> tuple[Int32, Float32, float]:
    """The `keep` largest magnitudes of each row, and the share of squares left out."""
    n = dense.shape[1]
    keep = max(1, min(keep, n))
    columns = np.empty((len(dense), keep), np.int32)
    values = np.empty((len(dense), keep), np.float32)
    total = 0.0
    for start in range(0, len(dense), 512):
        part = dense[start : start + 512]
        best = np.sort(np.argpartition(-np.abs(part), keep - 1, axis=1)[:, :keep], axis=1)
        columns[start : start + 512] = best
        values[start : start + 512] = np.take_along_axis(part, best, axis=1)
        total += float(np.sum(part.astype(np.float64) ** 2))
    kept = float(np.sum(values.astype(np.float64) ** 2))
    return columns, values, max(0.0, 1 - kept / total) if total else 0.0


def _cut_sparse(matrix: sparse.csr_matrix, keep: int) -> tuple[Neighbours, float]:
    n = matrix.shape[0]
    longest = int(np.diff(matrix.indptr).max()) if n else 0
    keep = max(1, min(keep, longest))
    columns = np.zeros((n, keep), np.int32)
    values = np.zeros((n, keep), np.float32)
    for row in range(n):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        best = np.lexsort((matrix.indices[span], -matrix.data[span]))[:keep]
        columns[row, : len(best)] = matrix.indices[span][best]
        values[row, : len(best)] = matrix.data[span][best]
    total = float(np.sum(matrix.data**2))
    kept = float(np.sum(values.astype(np.float64) ** 2))
    return Neighbours(columns, values), max(0.0, 1 - kept / total) if total else 0.0


def _placed(columns: Int32, values: Float32, chosen: Int32, n: int) -> Neighbours:
    """Lists over the chosen items as lists over all n."""
    width = columns.shape[1]
    all_columns = np.zeros((n, width), np.int32)
    all_values = np.zeros((n, width), np.float32)
    all_columns[chosen] = chosen[columns]
    all_values[chosen] = values
    return Neighbours(all_columns, all_values)


def _scale(lists: Neighbours, sample: list[Any], half_life: float) -> float:
    """The standard deviation of the lists' scores over a sample of users; 1 when all are 0."""
    n = len(lists.columns)
    spreads = [lists.spread(*newest(history, half_life), n) for history in sample]
    deviation = float(np.std(np.stack(spreads))) if spreads else 0.0
    return deviation or 1.0


def _prior(interactions: Interactions) -> Float32:
    counted = popularity(interactions)
    return counted / np.float32(max(counted.max(initial=0), 1e-9))
