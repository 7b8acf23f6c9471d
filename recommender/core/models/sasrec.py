"""Self-attention over the last items: SASRec (Kang, McAuley 2018), scored without torch.

Differs from the paper in two points: the place of an item enters as a learned bias by distance
(Raffel et al. 2020), so that any window of a history means the same, and the loss is a softmax
over the catalogue, sampled with logQ correction where that is large. Without times the distance
bias is off and the order of the history has no meaning beyond which item comes last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params, nearest, over_history

EPSILON = np.float32(1e-5)


@dataclass(frozen=True)
class SASRecConfig:
    factors: int = 64
    blocks: int = 2
    length: int = 64  # past items looked at
    epochs: int = 60  # at most; validation stops earlier
    patience: int = 4
    batch: int = 2048  # targets a step
    learning_rate: float = 0.002
    weight_decay: float = 0.02
    dropout: float = 0.3
    negatives: int = 2048  # sampled with logQ correction where the catalogue is larger than
    full_softmax_items: int = 5_000  # this
    debias: float = 0.0  # power of the inverse propensity of a target; 0: all count the same


@dataclass(frozen=True, eq=False)
class SASRec(Model):
    """Item vectors and a few attention blocks; a new event changes the next score."""

    name: ClassVar[str] = "sasrec"

    config: SASRecConfig
    items: IdMap
    vectors: Float32  # [items, factors], of the past and of the candidates alike
    bias: Float32  # [items]
    weights: Mapping[str, Float32]  # of the blocks; see `block_shapes`
    found: Params = field(default_factory=dict)

    def user(self, history: History) -> Float32:
        """[factors]: the state behind the newest item; zeros for an empty history."""
        past = history.restricted(len(self.items)).rows[-self.config.length :]
        return self._state(self.vectors[past])

    def score_one(self, history: History) -> Float32:
        scores: Float32 = self.vectors @ self.user(history)
        scores += self.bias
        return scores

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """What each score loses when one past item is left out: attention is not a sum."""
        past = history.restricted(len(self.items))
        asked = self.vectors[item_rows]
        part = np.zeros((len(item_rows), len(past)), np.float32)
        rows = past.rows[-self.config.length :]
        whole = asked @ self._state(self.vectors[rows])
        for n in range(len(rows)):
            without = self._state(self.vectors[np.delete(rows, n)])
            part[:, len(past) - len(rows) + n] = whole - asked @ without
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.vectors, item_rows, k)

    def arrays(self) -> Arrays:
        return {"vectors": self.vectors, "bias": self.bias, **self.weights}

    def params(self) -> Params:
        return asdict(self.config)

    def facts(self) -> Params:
        return self.found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        config = SASRecConfig(**params)
        weights = {name: arrays[name] for name in block_shapes(config)}
        return cls(config, items, arrays["vectors"], arrays["bias"], weights)

    def _state(self, x: Float32) -> Float32:
        """[factors] after the last of the rows x [n, factors]."""
        if not len(x):
            return np.zeros(self.config.factors, np.float32)
        w, n = self.weights, len(x)
        away = np.arange(n)[:, None] - np.arange(n)[None, :]
        x = x * np.float32(np.sqrt(self.config.factors))
        for b in range(self.config.blocks):
            normed = _normed(x, w[f"{b}.attend"])
            query, key, value = (normed @ w[f"{b}.{name}"] for name in ("query", "key", "value"))
            logits = query @ key.T / np.float32(np.sqrt(self.config.factors))
            logits += w[f"{b}.distance"][np.maximum(away, 0)]
            logits = np.where(away >= 0, logits, -np.inf)
            likely = np.exp(logits - logits.max(axis=1, keepdims=True))
            x = x + (likely / likely.sum(axis=1, keepdims=True)) @ value @ w[f"{b}.mix"]
            hidden = np.maximum(_normed(x, w[f"{b}.feed"]) @ w[f"{b}.up"] + w[f"{b}.up_bias"], 0)
            x = x + hidden @ w[f"{b}.down"]
        state: Float32 = _normed(x, w["last"])[-1]
        return state


def block_shapes(config: SASRecConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight but the item vectors; matrices map rows to columns."""
    f = config.factors
    square = ("query", "key", "value", "mix", "up", "down")
    shapes: dict[str, tuple[int, ...]] = {}
    for b in range(config.blocks):
        shapes |= {f"{b}.{name}": (f, f) for name in square}
        shapes |= {f"{b}.{name}": (f,) for name in ("attend", "feed", "up_bias")}
        shapes[f"{b}.distance"] = (config.length,)
    return shapes | {"last": (f,)}


def _normed(x: Float32, scale: Float32) -> Float32:
    """Layer normalisation of each row, with a scale and no shift."""
    centred = x - x.mean(axis=1, keepdims=True)
    normed: Float32 = centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + EPSILON)
    return normed * scale
