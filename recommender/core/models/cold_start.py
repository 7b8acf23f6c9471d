"""Any model, for items that nobody has taken and for users who have taken nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params, nearest, wide_parts

Int8 = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class ColdStart(Model):
    """The base model's scores, carried over to items without interactions by their content.

    A ridge regression of the user's scores on the features of the items that have interactions
    answers for those that have none; it is linear in the scores, so one matrix serves everybody.
    A user without history gets what people with the same labels take.
    """

    name: ClassVar[str] = "cold_start"

    items: IdMap
    base: Model
    features: Int8  # [items, width], whole steps from the mean of the warm; width 0 without content
    inverse: Float32  # [width, width], with F the warm features: (FᵀF + ridge)⁻¹ · step²
    warm: Int32  # rows of the items with interactions
    cold: Int32  # and of those without
    labels: IdMap  # interests and channels that people told
    segments: NDArray[np.floating[Any]]  # [labels, items], float16: score for one label

    def score_one(self, history: History) -> Float32:
        told = self._told(history)
        if told is not None:
            return told
        scores = self.base.score_one(history)
        if len(self.cold) and self.features.shape[1]:
            lifts = history.noted[self] = self._lifts(history)
            scores[self.cold] = scores[self.warm].mean(dtype=np.float32) + lifts
        return scores

    def _lifts(self, history: History) -> Float32:
        """[cold]: by how much the regression puts each above the mean, after `base` has scored."""
        # Not how often or how lately a course was taken: content can't tell that of another.
        known = self.base.tastes(history)
        known = known - known[self.warm].mean(dtype=np.float32)
        known[self.cold] = 0
        summed, done = np.zeros(self.features.shape[1], np.float32), 0
        for part in wide_parts(self.features):
            summed += known[done : done + len(part)] @ part
            done += len(part)
        weights = self.inverse @ summed
        parts = [part @ weights for part in wide_parts(self.features[self.cold])]
        return np.concatenate(parts)

    def told(self, history: History) -> bool:
        return bool((self.labels.rows(history.labels) >= 0).any()) or self.base.told(history)

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """The base model's; what content adds to a cold item goes to past items with like content.

        A row of a cold item sums to its score less the mean score, in shares of how much the
        regression lets each past item speak for it.
        """
        part = np.array(self.base.contributions(history, item_rows))
        asked = np.isin(item_rows, self.cold)
        if asked.any() and self.features.shape[1] and history.known(len(self.items)).any():
            if self not in history.noted:
                self.score_one(history)
            rows = item_rows[asked]
            lifts: Float32 = history.noted[self][np.searchsorted(self.cold, rows)]
            part[asked] = lifts[:, None] * self._shares(history, rows)
        return part

    def _shares(self, history: History, rows: Int32) -> Float32:
        """[rows, history]: how alike in content, and how heavy, the past items are; sums to 1."""
        known = history.known(len(self.items))
        past = self.features[history.rows[known]].astype(np.float32)
        alike = np.zeros((len(rows), len(history)), np.float32)
        alike[:, known] = self.features[rows].astype(np.float32) @ (self.inverse @ past.T)
        alike = np.maximum(alike, 0) * history.weights
        total = alike.sum(axis=1, keepdims=True)
        even = known / np.float32(known.sum())  # where nothing is alike
        return np.where(total > 0, alike / np.where(total > 0, total, 1), even).astype(np.float32)

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        """The base model's neighbours; of a cold item those with the most alike content."""
        rows, scores = self.base.similar(item_rows, k)
        alone = np.isin(item_rows, self.cold)
        if alone.any() and self.features.shape[1]:
            rows, scores = np.array(rows), np.array(scores)
            rows[alone], scores[alone] = nearest(self.features, item_rows[alone], k)
        return rows, scores

    def arrays(self) -> Arrays:
        own: Arrays = {
            "features": self.features,
            "inverse": self.inverse,
            "warm": self.warm,
            "cold": self.cold,
            "segments": self.segments,
        }
        own |= {f"labels.{name}": array for name, array in self.labels.arrays().items()}
        return own | {f"base.{name}": array for name, array in self.base.arrays().items()}

    def params(self) -> Params:
        return {"base": {"name": self.base.name, "params": self.base.params()}}

    def facts(self) -> Params:
        return {**self.base.facts(), "cold_items": len(self.cold), "labels": len(self.labels)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        # here, not at the top: the registry names this class
        from recommender.core.models.registry import model_class  # noqa: PLC0415

        told = params["base"]
        base = model_class(told["name"]).from_arrays(_under("base.", arrays), told["params"], items)
        return cls(
            items,
            base,
            features=arrays["features"],
            inverse=arrays["inverse"],
            warm=arrays["warm"],
            cold=arrays["cold"],
            labels=IdMap(**_under("labels.", arrays)),
            segments=arrays["segments"],
        )

    def _told(self, history: History) -> Float32 | None:
        """Scores from labels alone; None with a history or without a known label."""
        if not history.labels or history.known(len(self.items)).any():
            return None
        rows = self.labels.rows(history.labels)
        rows = rows[rows >= 0]
        if not len(rows):
            return None
        mean: Float32 = self.segments[rows].mean(axis=0, dtype=np.float32)
        return mean


def known_as(model: Model) -> str:
    """The name of the model that ranks: of the wrapped one."""
    return model.base.name if isinstance(model, ColdStart) else model.name


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
