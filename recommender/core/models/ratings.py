"""Rating models: they answer "how many stars", which is not the same as "what next"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params, nearest


@dataclass(frozen=True)
class MFConfig:
    factors: int = 6  # of one sample; the mean over many samples needs few
    iterations: int = 160  # rounds of the chain
    burn_in: int = 16  # rounds before the first one kept
    samples: int = 48  # kept, evenly spaced
    regularization: float = 15.0  # to begin with; the chain finds its own
    bias_regularization: float = 4.0


@dataclass(frozen=True)
class ConcatLinearConfig:
    factors: int = 32
    epochs: int = 10
    batch: int = 1024
    learning_rate: float = 0.01
    weight_decay: float = 0.0


@dataclass(frozen=True, eq=False)
class MF(Model):
    """r̂(u, i) = mean + b_u + b_i + p_u · q_i (Koren, Bell, Volinsky 2009).

    p and q hold many samples of the factors side by side, so that the product is their mean.
    """

    name: ClassVar[str] = "mf"

    config: MFConfig
    items: IdMap
    mean: Float32  # [3]: the mean rating, the lowest and the highest
    user_vectors: Float32  # [users, 1 + samples · factors], the bias first
    item_vectors: Float32  # [items, 1 + samples · factors], the bias first

    def rate(self, user_rows: Int32, item_rows: Int32) -> Float32:
        """[pairs], within the scale; -1 is unknown and adds nothing to the mean."""
        users, items = _taken(self.user_vectors, user_rows), _taken(self.item_vectors, item_rows)
        rated = self.mean[0] + users[:, 0] + items[:, 0]
        rated += np.vecdot(users[:, 1:], items[:, 1:])
        clipped: Float32 = np.clip(rated, self.mean[1], self.mean[2])
        return clipped

    def score_one(self, history: History) -> Float32:
        """Predicted ratings, unclipped; `history.user` says for whom."""
        user = _taken(self.user_vectors, np.array([history.user], np.int32))[0]
        scores: Float32 = self.item_vectors[:, 1:] @ user[1:]
        scores += self.item_vectors[:, 0] + (self.mean[0] + user[0])
        return scores

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Zeros: the user's vector was fitted, no past item can be singled out."""
        return np.zeros((len(item_rows), len(history)), np.float32)

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.item_vectors[:, 1:], item_rows, k)

    def arrays(self) -> Arrays:
        return {
            "mean": self.mean,
            "user_vectors": self.user_vectors,
            "item_vectors": self.item_vectors,
        }

    def params(self) -> Params:
        return asdict(self.config)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        return cls(
            MFConfig(**params),
            items,
            arrays["mean"],
            arrays["user_vectors"],
            arrays["item_vectors"],
        )


@dataclass(frozen=True, eq=False)
class ConcatLinear(Model):
    """Two embeddings, concatenated, one linear layer: w · p_u + v · q_i + b.

    The published starting point. It is additive: the user adds the same number to every item, so
    everybody gets one ranking. Kept as a baseline and as the proof of that.
    """

    name: ClassVar[str] = "concat_linear"

    config: ConcatLinearConfig
    items: IdMap
    mean: Float32  # [3]: the mean rating, the lowest and the highest
    user_vectors: Float32  # [users, factors]
    item_vectors: Float32  # [items, factors]
    weights: Float32  # [2 * factors], of the linear layer
    bias: Float32  # [1]
    found: Params = field(default_factory=dict)

    def rate(self, user_rows: Int32, item_rows: Int32) -> Float32:
        """[pairs], within the scale; an unknown user or item counts as the average one."""
        factors = self.item_vectors.shape[1]
        users = _taken(self.user_vectors, user_rows, _average(self.user_vectors))
        items = _taken(self.item_vectors, item_rows, _average(self.item_vectors))
        rated = users @ self.weights[:factors] + items @ self.weights[factors:] + self.bias[0]
        clipped: Float32 = np.clip(rated, self.mean[1], self.mean[2])
        return clipped

    def score_one(self, history: History) -> Float32:
        """The linear layer over [p_u, q_i] for every item, as the network computes it."""
        factors = self.item_vectors.shape[1]
        average = _average(self.user_vectors)
        user = _taken(self.user_vectors, np.array([history.user], np.int32), average)[0]
        pairs = np.hstack([np.broadcast_to(user, self.item_vectors.shape), self.item_vectors])
        scores: Float32 = pairs @ self.weights.reshape(2 * factors) + self.bias[0]
        return scores

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Zeros: the history plays no part."""
        return np.zeros((len(item_rows), len(history)), np.float32)

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.item_vectors, item_rows, k)

    def arrays(self) -> Arrays:
        return {
            "mean": self.mean,
            "user_vectors": self.user_vectors,
            "item_vectors": self.item_vectors,
            "weights": self.weights,
            "bias": self.bias,
        }

    def params(self) -> Params:
        return asdict(self.config)

    def facts(self) -> Params:
        return self.found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        return cls(
            ConcatLinearConfig(**params),
            items,
            arrays["mean"],
            arrays["user_vectors"],
            arrays["item_vectors"],
            arrays["weights"],
            arrays["bias"],
        )


def _average(vectors: Float32) -> Float32:
    if not len(vectors):
        return np.zeros(vectors.shape[1], np.float32)
    mean: Float32 = vectors.mean(axis=0, dtype=np.float32)
    return mean


def _taken(vectors: Float32, rows: Int32, unknown: Float32 | None = None) -> Float32:
    """[rows, width]; `unknown` (zeros by default) for rows outside the table."""
    known = (rows >= 0) & (rows < len(vectors))
    blank = np.zeros(vectors.shape[1], np.float32) if unknown is None else unknown
    taken = np.tile(blank, (len(rows), 1))
    taken[known] = vectors[rows[known]]
    return taken
