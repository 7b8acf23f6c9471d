"""From the training part of a split to what models learn from: cleaned, and weighed by M."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recommender.core.cleaning import CleaningConfig, CleaningReport, Log, cleaned
from recommender.core.config import config_from
from recommender.core.data import Float64, Interactions
from recommender.core.errors import BadParams, sentence
from recommender.core.matrix import MatrixConfig, weighted

MATRIX = "matrix"  # the key of a model's parameters that holds those of the matrix


def without_matrix(params: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own parameters."""
    return {name: value for name, value in params.items() if name != MATRIX}


def matrix_of(params: Mapping[str, Any]) -> MatrixConfig | None:
    """The matrix that `params` ask for; None: every pair weighs 1. BadParams when it is none."""
    if MATRIX not in params:
        return None
    told = params[MATRIX]
    if not isinstance(told, Mapping):
        raise BadParams(sentence("matrix must be an object of numbers"))
    return config_from(MatrixConfig, MATRIX, told)


@dataclass(frozen=True)
class Preparation:
    """The events behind the interactions, by user and item row, and how they are cleaned."""

    log: Log | None = None
    cleaning: CleaningConfig | None = None

    def cleaned(
        self, train: Interactions, until: Float64 | None = None
    ) -> tuple[Interactions, CleaningReport | None]:
        """`train` after the cleaning of its own events up to `until` [users], where wanted.

        Bots and bursts are told by everything their users reported.
        """
        if self.log is None or self.cleaning is None:
            return train, None
        width = max(len(train.items), 1)
        pairs = train.user_rows.astype(np.int64) * width + train.item_rows
        mine = np.isin(self.log.users * width + self.log.items, pairs)
        if until is not None:
            with np.errstate(invalid="ignore"):
                mine &= ~(self.log.times > until[self.log.users])
        return cleaned(train, self.log, self.cleaning, mine)

    def weighed(
        self, train: Interactions, params: Mapping[str, Any], until: Float64 | None = None
    ) -> Interactions:
        """`train` under the matrix of `params`; as it is where they name none."""
        matrix = matrix_of(params)
        if matrix is None:
            return train
        if self.log is None:
            raise BadParams(
                sentence("the events behind the interactions are not at hand for a matrix")
            )
        return weighted(train, self.log, matrix, until)


def earlier(one: Float64 | None, other: Float64 | None) -> Float64 | None:
    """Per user the earlier of two bounds; None is no bound."""
    if one is None or other is None:
        return one if other is None else other
    return np.minimum(one, other)
