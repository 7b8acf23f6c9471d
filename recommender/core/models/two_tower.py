"""Two towers over features (Covington et al. 2016; Yi et al. 2019): cold items and users too."""

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
class TwoTowerConfig:
    factors: int = 64
    half_lives: tuple[float, ...] = (1.0, 8.0, 0.0)  # events; 0 is a plain mean
    epochs: int = 30  # at most; validation stops earlier
    patience: int = 3
    batch: int = 1024  # targets a step
    learning_rate: float = 0.005
    weight_decay: float = 0.02
    dropout: float = 0.2  # of past items
    id_dropout: float = 0.3  # of items that must do with their content in a step
    negatives: int = 2048  # sampled with logQ correction where the catalogue is larger than
    full_softmax_items: int = 5_000  # this
    debias: float = 0.0  # power of the inverse propensity of a target; 0: all count the same


@dataclass(frozen=True, eq=False)
class TwoTower(Model):
    """Both towers as tables: an item's id and its content are summed already.

    Items without interactions have vectors from content alone, users without history are the
    mean of what their labels mean.
    """

    name: ClassVar[str] = "two_tower"

    config: TwoTowerConfig
    items: IdMap
    inputs: Float32  # [items, factors], an item as part of a past
    gates: Float32  # [half-lives, factors], what each mean over the past is scaled by
    outputs: Float32  # [items, factors], an item as a candidate
    bias: Float32  # [items]
    labels: IdMap
    label_vectors: Float32  # [labels, factors]
    found: Params = field(default_factory=dict)

    def user(self, history: History) -> Float32:
        """[factors]: gated means of the past items, plus the mean of the labels."""
        past = history.restricted(len(self.items))
        summed = self._told(history)
        for gate, shares in zip(self.gates, self._shares(past), strict=True):
            summed += gate * (shares @ self.inputs[past.rows])
        return summed

    def score_one(self, history: History) -> Float32:
        scores: Float32 = self.outputs @ self.user(history)
        scores += self.bias
        return scores

    def told(self, history: History) -> bool:
        return bool((self.labels.rows(history.labels) >= 0).any())

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Exact: a row sums to the item's score less its bias and what the labels add."""
        past = history.restricted(len(self.items))
        part = np.zeros((len(item_rows), len(past)), np.float32)
        for gate, shares in zip(self.gates, self._shares(past), strict=True):
            part += ((self.outputs[item_rows] * gate) @ self.inputs[past.rows].T) * shares
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.outputs, item_rows, k)

    def arrays(self) -> Arrays:
        own = {
            "inputs": self.inputs,
            "gates": self.gates,
            "outputs": self.outputs,
            "bias": self.bias,
            "label_vectors": self.label_vectors,
        }
        return own | {f"labels.{name}": array for name, array in self.labels.arrays().items()}

    def params(self) -> Params:
        return asdict(self.config)

    def facts(self) -> Params:
        return self.found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        config = TwoTowerConfig(**{**params, "half_lives": tuple(params["half_lives"])})
        prefix = "labels."
        labels = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
        return cls(
            config,
            items,
            inputs=arrays["inputs"],
            gates=arrays["gates"],
            outputs=arrays["outputs"],
            bias=arrays["bias"],
            labels=IdMap(**labels),
            label_vectors=arrays["label_vectors"],
        )

    def _told(self, history: History) -> Float32:
        rows = self.labels.rows(history.labels)
        rows = rows[rows >= 0]
        if not len(rows):
            return np.zeros(self.outputs.shape[1], np.float32)
        mean: Float32 = self.label_vectors[rows].mean(axis=0, dtype=np.float32)
        return mean

    def _shares(self, past: History) -> list[Float32]:
        """One [n] per half-life, each summing to 1 (nothing for an empty history)."""
        shares = []
        for half_life in self.config.half_lives:
            weights = past.weights * recency(past, half_life)
            shares.append(weights / np.float32(max(float(weights.sum()), 1e-9)))
        return shares
