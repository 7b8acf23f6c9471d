"""Plain item-based k-nearest neighbours: the classical bar that a model has to pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from recommender.core.data import IdMap
from recommender.core.models.base import Params
from recommender.core.models.neighbours import Ease, EaseConfig, Neighbours


@dataclass(frozen=True)
class ItemKNNConfig(EaseConfig):
    """Deshpande, Karypis 2004: cosine between the sets of users of two items."""

    regularization: float = 0.0  # added to the cosine's denominator: rare pairs weigh less
    neighbours: int = 100
    half_life: float = 0.0  # every past item counts the same
    max_items: int = 10_000_000


@dataclass(frozen=True, eq=False)
class ItemKNN(Ease):
    """The sum of the similarities of an item to the user's items."""

    name: ClassVar[str] = "item_knn"

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        weights = Neighbours.stored(arrays)
        return cls(ItemKNNConfig(**params), items, weights, arrays["popularity"])
