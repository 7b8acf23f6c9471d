"""NeuMF (He et al. 2017): a gated product and a small network over the same pair.

A user is the normalised sum of the vectors of the items taken (as in FISM and DeepICF, Xue et al.
2019) in place of a vector of their own, so that new users and events need no training.
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
class NeuMFConfig:
    factors: int = 32  # of each of the two parts
    hidden: int = 32  # units of the first layer; the second has half
    epochs: int = 40  # at most; validation stops earlier
    patience: int = 4
    batch: int = 4096  # positive pairs a step
    learning_rate: float = 0.005
    weight_decay: float = 0.02
    half_life: float = 8.0  # events; discounts older items of the user at hand
    negatives: int = 16  # a positive, drawn evenly
    calibration: float = 0.75  # of gBCE (Petrov, Macdonald 2023); 0: the plain log loss
    debias: float = 0.0  # power of the inverse propensity of a target; 0: all count the same


@dataclass(frozen=True, eq=False)
class NeuMF(Model):
    """The network's tables, folded as far as they go; a score takes one product and one layer."""

    name: ClassVar[str] = "neumf"

    config: NeuMFConfig
    items: IdMap
    past: Float32  # [items, 2 · factors], an item as part of a past: product, then network
    product: Float32  # [items, factors], an item as a candidate, scaled by the last layer
    candidate: Float32  # [items, hidden], a candidate's part of the first layer with its bias
    first: Float32  # [factors, hidden], the user's part of the first layer
    second: Float32  # [hidden + 1, hidden / 2], the bias last
    last: Float32  # [hidden / 2]
    bias: Float32  # [items]
    found: Params = field(default_factory=dict)

    def score_one(self, history: History) -> Float32:
        past = history.restricted(len(self.items))
        return self._scores(past, self._shares(past), slice(None))

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """What each score loses when one past item is left out: the network is not a sum."""
        past = history.restricted(len(self.items))
        shares = self._shares(past)
        whole = self._scores(past, shares, item_rows)
        part = np.empty((len(item_rows), len(past)), np.float32)
        for n in range(len(past)):
            without = shares.copy()
            without[n] = 0
            part[:, n] = whole - self._scores(past, without, item_rows)
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.past, item_rows, k)

    def arrays(self) -> Arrays:
        return {name: getattr(self, name) for name in ARRAYS}

    def params(self) -> Params:
        return asdict(self.config)

    def facts(self) -> Params:
        return self.found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        own: dict[str, Any] = {name: arrays[name] for name in ARRAYS}
        return cls(NeuMFConfig(**params), items, **own)

    def _scores(self, past: History, shares: Float32, rows: Any) -> Float32:
        user = shares @ self.past[past.rows]
        factors = self.config.factors
        scores: Float32 = self.product[rows] @ user[:factors]
        hidden = np.maximum(self.candidate[rows] + user[factors:] @ self.first, 0)
        scores += np.maximum(hidden @ self.second[:-1] + self.second[-1], 0) @ self.last
        scores += self.bias[rows]
        return scores

    def _shares(self, past: History) -> Float32:
        """[n], summing to the square root of the length."""
        counted = past.weights * recency(past, self.config.half_life)
        shares: Float32 = counted / np.float32(max(float(counted.sum()), 1e-9))
        return shares * np.float32(np.sqrt(len(past)))


ARRAYS = ("past", "product", "candidate", "first", "second", "last", "bias")
