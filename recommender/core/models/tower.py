"""History tower: a user is decayed means of item vectors, one per half-life; no user vectors."""

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
class TowerConfig:
    factors: int = 64
    half_lives: tuple[float, ...] = (1.0, 8.0, 0.0)  # events; 0 is a plain mean
    epochs: int = 30  # at most; validation stops earlier, and so does a rate that has fallen
    patience: int = 2  # epochs without a better validation NDCG@10
    batch: int = 512  # targets a step
    learning_rate: float = 0.01
    decay: float = 0.7  # of the learning rate, from one epoch to the next
    weight_decay: float = 0.02
    dropout: float = 0.2  # of past items
    negatives: int = 1536  # sampled with logQ correction where the catalogue is larger than
    full_softmax_items: int = 5_000  # this
    debias: float = 0.0  # power of the inverse propensity of a target; 0: all count the same


@dataclass(frozen=True, eq=False)
class HistoryTower(Model):
    """Fitted by torch, scored by NumPy; new users and events need no training."""

    name: ClassVar[str] = "history_tower"

    config: TowerConfig
    items: IdMap
    inputs: NDArray[np.floating[Any]]  # [half-lives, items, factors], float16: means of rows
    outputs: Float32  # [items, factors]
    bias: Float32  # [items]
    found: Params = field(default_factory=dict)

    def user(self, history: History) -> Float32:
        """[factors]: linear in the past items for a given length of the history."""
        past = history.restricted(len(self.items))
        summed = np.zeros(self.outputs.shape[1], np.float32)
        for vectors, shares in zip(self.inputs, self._shares(past), strict=True):
            summed += shares @ vectors[past.rows]
        return summed

    def score_one(self, history: History) -> Float32:
        scores: Float32 = self.outputs @ self.user(history)
        scores += self.bias
        return scores

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Exact: a row sums to the item's score less its bias."""
        past = history.restricted(len(self.items))
        asked = self.outputs[item_rows]  # [asked, factors]
        part = np.zeros((len(item_rows), len(past)), np.float32)
        for vectors, shares in zip(self.inputs, self._shares(past), strict=True):
            part += (asked @ vectors[past.rows].T) * shares
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.outputs, item_rows, k)

    def arrays(self) -> Arrays:
        return {"inputs": self.inputs, "outputs": self.outputs, "bias": self.bias}

    def params(self) -> Params:
        return asdict(self.config)

    def facts(self) -> Params:
        return self.found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        config = TowerConfig(**{**params, "half_lives": tuple(params["half_lives"])})
        return cls(config, items, arrays["inputs"], arrays["outputs"], arrays["bias"])

    def _shares(self, past: History) -> list[Float32]:
        """One [n] per half-life, each summing to 1 (nothing for an empty history)."""
        shares = []
        for half_life in self.config.half_lives:
            weights = past.weights * recency(past, half_life)
            shares.append(weights / np.float32(max(float(weights.sum()), 1e-9)))
        return shares
