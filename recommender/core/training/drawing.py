"""Draws items without replacement, each with a known chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64


class Drawing:
    """`number` distinct items a draw; `chance` [items] is how likely each one is among them.

    Systematic sampling over a fresh random order (Madow 1949): exact chances and the same size
    each time, at the price of one shuffle. What is too likely for its share is always drawn.
    """

    def __init__(self, sizes: NDArray[np.floating], number: int):
        self.chance = chances(np.asarray(sizes, np.float64), number)
        self.always = np.flatnonzero(self.chance >= 1)
        self.others = np.flatnonzero(self.chance < 1)
        self.left = number - len(self.always)
        self.log_chance: Float32 = np.log(self.chance).astype(np.float32)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """[number], the certain ones first."""
        order = rng.permutation(self.others)
        ends = np.cumsum(self.chance[order])
        points = rng.random() + np.arange(self.left)
        places = np.searchsorted(ends, points, side="right")
        # the last end may fall short of its whole number by rounding
        return np.concatenate([self.always, order[np.minimum(places, len(order) - 1)]])


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
