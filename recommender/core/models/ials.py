"""Implicit alternating least squares: item factors, users folded in when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params, nearest, over_history
from recommender.core.models.recency import recency


@dataclass(frozen=True)
class IALSConfig:
    """Confidence of an interaction is 1 + alpha * weight (Hu, Koren, Volinsky 2008)."""

    factors: int = 64
    iterations: int = 15
    alpha: float = 10.0
    regularization: float = 30.0
    cg_steps: int = 3
    half_life: float = 8.0  # events; discounts older items at fold-in; 0: all count the same


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
        known, confidence = self._inputs(history.restricted(len(self.items)))
        left = self.gram + known.T @ (confidence[:, None] * known)
        user: Float32 = np.linalg.solve(left, known.T @ (1 + confidence))
        return user

    def score_one(self, history: History) -> Float32:
        if not history.known(len(self.items)).any():
            return np.array(self.popularity)
        scores: Float32 = self.item_factors @ self.fold_in(history)
        return scores

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
        return self.item_factors[history.rows], np.float32(self.config.alpha) * weights
