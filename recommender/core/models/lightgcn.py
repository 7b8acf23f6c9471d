"""LightGCN (He et al. 2020) without user vectors: items smoothed over the graph of takers.

A user is the normalised sum of the smoothed vectors of the items taken, which is what one more
propagation step gives a user who starts at zero; so new users and events need no training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params, nearest, over_history
from recommender.core.models.recency import recency


@dataclass(frozen=True)
class LightGCNConfig:
    factors: int = 64
    layers: int = 1  # each goes from items to their takers and back
    epochs: int = 60  # at most; validation stops earlier
    patience: int = 4
    batch: int = 4096  # pairs a step
    learning_rate: float = 0.01
    weight_decay: float = 0.05
    half_life: float = 8.0  # events; discounts older items of the user at hand
    negatives: int = 2048  # sampled with logQ correction where the catalogue is larger than
    full_softmax_items: int = 5_000  # this
    debias: float = 0.0  # power of the inverse propensity of a target; 0: all count the same


@dataclass(frozen=True, eq=False)
class LightGCN(Model):
    """Smoothed item vectors; a user is their normalised sum, so a score is linear in the past."""

    name: ClassVar[str] = "lightgcn"

    config: LightGCNConfig
    items: IdMap
    vectors: Float32  # [items, factors], the mean over the layers
    inward: Float32  # [items], 1 / sqrt(summed weights of the takers)
    bias: Float32  # [items]
    found: Params = field(default_factory=dict)

    def score_one(self, history: History) -> Float32:
        past = history.restricted(len(self.items))
        user = self._shares(past) @ self.vectors[past.rows]
        scores: Float32 = self.vectors @ user
        scores += self.bias
        return scores

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Exact: a row sums to the item's score less its bias."""
        past = history.restricted(len(self.items))
        part = (self.vectors[item_rows] @ self.vectors[past.rows].T) * self._shares(past)
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.vectors, item_rows, k)

    def arrays(self) -> Arrays:
        return {"vectors": self.vectors, "inward": self.inward, "bias": self.bias}

    def params(self) -> Params:
        return asdict(self.config)

    def facts(self) -> Params:
        return self.found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        own = arrays["vectors"], arrays["inward"], arrays["bias"]
        return cls(LightGCNConfig(**params), items, *own)

    def _shares(self, past: History) -> Float32:
        """[n], what each past item's vector is scaled by; recency keeps the whole's size."""
        if not len(past):
            return np.zeros(0, np.float32)
        counted = past.weights * recency(past, self.config.half_life)
        whole = float(past.weights.sum())
        size = whole / max(float(counted.sum()), 1e-9)
        shares: Float32 = counted * np.float32(size) * self.inward[past.rows]
        return shares / np.float32(np.sqrt(max(whole, 1)))
