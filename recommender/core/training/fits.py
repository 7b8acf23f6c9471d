"""Several models on the same data: what differs in scoring alone is fitted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from recommender.core.data import Interactions
from recommender.core.models.base import Model
from recommender.core.models.ials import IALS
from recommender.core.models.item_knn import ItemKNN
from recommender.core.models.neighbours import Ease
from recommender.core.models.user_neighbours import UserKNN
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer

AT_SCORING = {"half_life"}  # how the history at hand is discounted; nothing that is learned
SAME_FIT = (Ease, ItemKNN, IALS, UserKNN)


class Fits:
    """Models of one data set, kept so that a variant of scoring costs nothing."""

    def __init__(self, interactions: Interactions):
        self.interactions = interactions
        self._kept: dict[str, Model] = {}

    def fit(self, name: str, params: Mapping[str, Any], options: FitOptions) -> Model:
        """As the trainer of this name would; early stopping is not shared between calls."""
        told = {key: value for key, value in params.items() if key not in AT_SCORING}
        key = f"{name} {sorted(told.items())} {options.seed}"
        if key in self._kept:
            return _scoring_as(self._kept[key], params)
        model = make_trainer(name, params).fit(self.interactions, options)
        if isinstance(model, SAME_FIT):
            self._kept[key] = model
        return model


def _scoring_as(model: Model, params: Mapping[str, Any]) -> Model:
    """The same fitted numbers, used on a history as `params` say (else as the default does)."""
    assert isinstance(model, SAME_FIT)  # noqa: S101
    config = model.config
    defaults = {field.name: field.default for field in fields(config)}
    told = {name: float(params.get(name, defaults[name])) for name in AT_SCORING}
    return replace(model, config=replace(config, **told))  # type: ignore[arg-type]
