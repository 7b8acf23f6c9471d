"""Counts that forget: the floor, and the answer to an empty history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params
from recommender.core.serving import top_k


@dataclass(frozen=True)
class PopularConfig:
    half_life_days: float = 0.0  # 0: every event counts the same


@dataclass(frozen=True, eq=False)
class Popular(Model):
    """The same score for everybody: a time-decayed count, log(1 + count)."""

    name: ClassVar[str] = "popular"

    config: PopularConfig
    items: IdMap
    popularity: Float32  # [items]

    def score_one(self, history: History) -> Float32:
        return np.array(self.popularity)

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Zeros: nothing in the history matters."""
        return np.zeros((len(item_rows), len(history)), np.float32)

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        """The most popular others."""
        found = np.full((len(item_rows), k), -1, np.int32)
        scores = np.zeros((len(item_rows), k), np.float32)
        for n, row in enumerate(item_rows):
            best = top_k(self.popularity, k, np.array([row]))
            found[n, : len(best)] = best
            scores[n, : len(best)] = self.popularity[best]
        return found, scores

    def arrays(self) -> Arrays:
        return {"popularity": self.popularity}

    def params(self) -> Params:
        return asdict(self.config)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        return cls(PopularConfig(**params), items, arrays["popularity"])


class Recent(Popular):
    """The same with a short half-life: what people take up now."""

    name: ClassVar[str] = "recent"
