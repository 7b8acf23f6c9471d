"""A weighted sum of models, each brought to the same scale for the user at hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params


@dataclass(frozen=True, eq=False)
class Ensemble(Model):
    """Score = sum of weight * (member score - its mean) / its deviation over the catalogue."""

    name: ClassVar[str] = "ensemble"

    items: IdMap
    members: tuple[Model, ...]
    weights: tuple[float, ...]  # one per member
    found: Params = field(default_factory=dict)

    def score_one(self, history: History) -> Float32:
        total = np.zeros(len(self.items), np.float32)
        deviations = []
        for member, weight in zip(self.members, self.weights, strict=True):
            scores = member.score_one(history)
            shifted = scores - mean_of(scores)
            deviation = deviation_of(float(scores[0]) if len(scores) else 0.0, shifted)
            deviations.append(deviation)
            if deviation > 0:
                shifted *= np.float32(weight / deviation)
                total += shifted
        history.noted[self] = deviations
        return total

    def told(self, history: History) -> bool:
        return any(member.told(history) for member in self.members)

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """The members' contributions on the common scale; the user's means are left out."""
        total = np.zeros((len(item_rows), len(history)), np.float32)
        if self not in history.noted:
            self.score_one(history)
        deviations = history.noted[self]
        for member, weight, deviation in zip(self.members, self.weights, deviations, strict=True):
            if deviation > 0:
                part = member.contributions(history, item_rows)
                total += np.float32(weight / deviation) * part
        return total

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        """The neighbours of the heaviest member."""
        heaviest = int(np.argmax(self.weights))
        return self.members[heaviest].similar(item_rows, k)

    def arrays(self) -> Arrays:
        return {
            f"{n}.{name}": array
            for n, member in enumerate(self.members)
            for name, array in member.arrays().items()
        }

    def params(self) -> Params:
        members = zip(self.members, self.weights, strict=True)
        return {
            "members": [{"name": m.name, "params": m.params(), "weight": w} for m, w in members]
        }

    def facts(self) -> Params:
        return self.found | {"members": [member.facts() for member in self.members]}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        # here, not at the top: the registry names this class
        from recommender.core.models.registry import model_class  # noqa: PLC0415

        members = []
        for n, told in enumerate(params["members"]):
            prefix = f"{n}."
            own = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
            members.append(model_class(told["name"]).from_arrays(own, told["params"], items))
        weights = tuple(float(told["weight"]) for told in params["members"])
        return cls(items, tuple(members), weights)


def mean_of(scores: Float32) -> np.float32:
    """0 of none."""
    return scores.mean(dtype=np.float32) if len(scores) else np.float32(0)


def deviation_of(first: float, centred: Float32) -> float:
    """Of scores, from their distance to their mean; 0 below what rounding makes of equal ones.

    `first` is the first score: where all are equal it is as large as any, where not, a hint.
    """
    if not len(centred):
        return 0.0
    deviation = math.sqrt(float(np.vecdot(centred, centred)) / len(centred))
    return deviation if deviation > 1e-6 * abs(first) else 0.0
