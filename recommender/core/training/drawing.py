"""Draws items, each with a chance of its own and on its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64


class Drawing:
    """About `number` distinct items a draw; `chance` [items] is how likely each one is among them.

    Poisson sampling: whether one item comes tells nothing about another. What is too likely for
    its share always comes.
    """

    def __init__(self, sizes: NDArray[np.floating], number: int):
        self.chance = chances(np.asarray(sizes, np.float64), number)
        self.log_chance: Float32 = np.log(self.chance).astype(np.float32)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows in ascending order, never none at all."""
        while True:
            drawn = np.flatnonzero(rng.random(len(self.chance)) < self.chance)
            if len(drawn):
                return drawn


def chances(sizes: Float64, number: int) -> Float64:
    """[items], in proportion to the positive `sizes` and at most 1, with the sum `number`."""
    chance = np.ones(len(sizes))
    open_rows = np.arange(len(sizes))  # not yet certain
    while len(open_rows):
        left = number - (len(sizes) - len(open_rows))
        share = sizes[open_rows] * (left / sizes[open_rows].sum())
        chance[open_rows] = np.minimum(share, 1)
        if (share < 1).all():
            break
        open_rows = open_rows[share < 1]
    return chance
