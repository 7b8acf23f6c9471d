"""On which scale the ratings of a folder are: stars, or another one that most of them fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32

ENOUGH_RATINGS = 20  # fewer are stars: nothing speaks for another scale
MOSTLY = 0.5  # of the ratings that fit stars: the others are mistakes
NEARLY_ALL = 0.9  # of the ratings that must fit another scale


@dataclass(frozen=True)
class Scale:
    least: float
    most: float

    def holds(self, values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        within: NDArray[np.bool_] = (values >= self.least) & (values <= self.most)
        return within

    def stars(self, values: Float32) -> Float32:
        """The same place on the scale of stars."""
        if self == STARS:
            return values
        share = (values - np.float32(self.least)) / np.float32(self.most - self.least)
        told: Float32 = np.float32(STARS.least) + share * np.float32(STARS.most - STARS.least)
        return told


STARS = Scale(0.5, 5.0)
OTHERS = (Scale(0.0, 10.0), Scale(-10.0, 10.0), Scale(0.0, 100.0))


def scale_of(stars: int, outside: Float32) -> Scale:
    """The scale that `stars` ratings from 0.5 to 5 and the values `outside` of it are on."""
    n = stars + len(outside)
    if n < ENOUGH_RATINGS or stars >= MOSTLY * n:
        return STARS
    for scale in OTHERS:
        if stars + np.count_nonzero(scale.holds(outside)) >= NEARLY_ALL * n:
            return scale
    return STARS
