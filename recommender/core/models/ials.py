"""Implicit alternating least squares: item factors, users folded in when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params, nearest, over_history
from recommender.core.models.factors import best_by_factors, dots
from recommender.core.models.recency import recencies, recency
from recommender.core.serving import Listed, Rows

BLOCK_ROWS = 16_384  # past items of users who are folded in together: 4 MB at 64 factors
STEPS = 16  # of conjugate gradient before a user is solved for directly
CLOSE = np.float32(1e-6)  # of the right side's length: what rounding leaves
LEAST = np.float32(1e-30)


@dataclass(frozen=True)
class IALSConfig:
    """Confidence of an interaction is 1 + alpha * weight (Hu, Koren, Volinsky 2008)."""

    factors: int = 64
    iterations: int = 15
    alpha: float = 3.0
    regularization: float = 30.0
    cg_steps: int = 3
    half_life: float = 8.0  # events; discounts older items at fold-in; 0: all count the same
    boost: float = 3.0  # of alpha at fold-in where items are discounted: little is left of most


@dataclass(frozen=True, eq=False)
class IALS(Model):
    """Item factors. Users are folded in when asked for, so a new event counts at once."""

    name: ClassVar[str] = "ials"

    config: IALSConfig
    items: IdMap
    item_factors: Float32  # [items, factors]
    gram: Float32  # [factors, factors], YᵀY + regularization
    popularity: Float32  # [items], the answer to an empty history

    def fold_in(self, history: History) -> Float32:
        """User factors [factors] from one user's weighted items: the exact least squares."""
        return self.fold_in_many([history])[0]

    def fold_in_many(self, histories: Sequence[History]) -> Float32:
        """[users, factors]; each the same bits whoever else is asked for, so nothing is padded."""
        past = [history.restricted(len(self.items)) for history in histories]
        lengths = np.array([len(one) for one in past], np.int64)
        found = np.zeros((len(past), self.item_factors.shape[1]), np.float32)
        for length in np.unique(lengths[lengths > 0]):
            alike = np.flatnonzero(lengths == length)
            together = max(1, BLOCK_ROWS // int(length))
            for start in range(0, len(alike), together):
                some = alike[start : start + together]
                found[some] = self._solved([past[at] for at in some])
        return found

    def _solved(self, past: Sequence[History]) -> Float32:
        """[users, factors], for histories of one length."""
        rows = np.stack([one.rows for one in past])
        weights = np.stack([one.weights for one in past]) * recencies(past, self.config.half_life)
        confidence = np.array([[self._alpha(one)] for one in past], np.float32) * weights
        known = np.take(self.item_factors, rows.ravel(), axis=0).reshape(*rows.shape, -1)
        right = np.vecmat(1 + confidence, known)
        user, open_ = self._descended(known, confidence, right)
        if len(open_):
            known, confidence = known[open_], confidence[open_]
            left = self.gram + known.swapaxes(1, 2) @ (confidence[:, :, None] * known)
            user[open_] = np.linalg.solve(left, right[open_][:, :, None])[:, :, 0]
        return user

    def _descended(
        self, known: Float32, confidence: Float32, right: Float32
    ) -> tuple[Float32, NDArray[np.int64]]:
        """The solutions by conjugate gradient, and the rows where STEPS were too few for it.

        Preconditioned by the inverse of the Gram matrix, all that a short history changes is a
        few directions, so a few steps reach rounding. A row that is there no longer moves.
        """
        user, residual, direction = np.zeros_like(right), right, np.zeros_like(right)
        before = np.ones(len(right), np.float32)
        enough = CLOSE**2 * np.vecdot(right, right)
        moving = np.ones(len(right), np.bool_)
        for _ in range(STEPS):
            eased = np.matvec(self._ease, residual)
            length = np.vecdot(residual, eased)
            direction = eased + (length / before)[:, None] * direction
            inner = np.matvec(known, direction)
            inner *= confidence
            moved = np.matvec(self.gram, direction)
            moved += np.vecmat(inner, known)
            share = length / np.maximum(np.vecdot(direction, moved), LEAST)
            share[~moving] = 0
            user += share[:, None] * direction
            residual = residual - share[:, None] * moved
            before = np.maximum(length, LEAST)
            moving &= ~(np.vecdot(residual, residual) <= enough)
            if not moving.any():
                break
        return user, np.flatnonzero(moving)

    @cached_property
    def _ease(self) -> Float32:
        inverse: Float32 = np.linalg.inv(self.gram.astype(np.float64)).astype(np.float32)
        return inverse

    def score_one(self, history: History) -> Float32:
        if not history.known(len(self.items)).any():
            return np.array(self.popularity)
        return dots(self.item_factors, self.fold_in(history))

    def best(
        self,
        histories: Sequence[History],
        k: int,
        hidden: Sequence[Rows],
        order: NDArray[np.int64] | None = None,
    ) -> list[Listed]:
        known = [at for at, one in enumerate(histories) if one.known(len(self.items)).any()]
        users = self.fold_in_many([histories[at] for at in known])
        told = best_by_factors(self.item_factors, users, k, [hidden[at] for at in known], order)
        found = {at: listed for at, listed in zip(known, told, strict=True) if listed is not None}
        alone = [at for at in range(len(histories)) if at not in found]
        scored = super().best(
            [histories[at] for at in alone], k, [hidden[at] for at in alone], order
        )
        found |= zip(alone, scored, strict=True)
        return [found[at] for at in range(len(histories))]

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Exact: a row sums to the item's score (Hu, Koren, Volinsky 2008, section 5)."""
        known, confidence = self._inputs(history.restricted(len(self.items)))
        left = self.gram + known.T @ (confidence[:, None] * known)
        asked = np.linalg.solve(left, self.item_factors[item_rows].T)  # [factors, asked]
        part = (known @ asked).T * (1 + confidence)
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.item_factors, item_rows, k)

    def arrays(self) -> Arrays:
        return {
            "item_factors": self.item_factors,
            "gram": self.gram,
            "popularity": self.popularity,
        }

    def params(self) -> Params:
        return asdict(self.config)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        return cls(
            IALSConfig(**params),
            items,
            arrays["item_factors"],
            arrays["gram"],
            arrays["popularity"],
        )

    def _inputs(self, history: History) -> tuple[Float32, Float32]:
        """Factors [n, factors] and alpha * weight [n] of the known past items."""
        weights = history.weights * recency(history, self.config.half_life)
        return self.item_factors[history.rows], np.float32(self._alpha(history)) * weights

    def _alpha(self, history: History) -> float:
        c = self.config
        return c.alpha * (c.boost if c.half_life > 0 and history.times is not None else 1.0)
