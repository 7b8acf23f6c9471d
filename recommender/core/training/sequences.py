"""Cuts histories into segments of equal width that a network takes in batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Interactions

TARGETS = 16  # targets a segment
CONTEXT = 64  # past items that a target sees at most, plus those of its own segment
MOST_STEPS = 800  # an epoch: more events make larger batches, or the optimizer would cost most


def per_step(x: Interactions, batch: int, targets: int) -> int:
    """How many segments make a step of at least `batch` targets."""
    return max(1, max(batch, len(x) // MOST_STEPS) // targets)


class Segments:
    """Pieces of histories: `context` slots that are only looked at, then `targets` slots.

    Every event but a user's first is a target once. Events of one second come in a fresh order
    with each `shuffle`, and so does everything where the data has no times. Only the order is
    held; event numbers are made for one batch at a time.
    """

    def __init__(self, x: Interactions, context: int, targets: int):
        lengths = np.diff(x.indptr)
        pieces = -(-np.maximum(lengths - 1, 0) // targets)  # the first event is no target
        users = np.repeat(np.arange(len(lengths)), pieces)
        nth = np.arange(len(users)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        self.slots = np.arange(context + targets)
        self.start, self.end = x.indptr[users], x.indptr[users + 1]
        self.first = self.start + 1 + nth * targets - context
        self.order = np.arange(len(x))
        fresh = np.ones(len(x), bool)  # events that do not share their moment with the one before
        fresh[1:] = x.user_rows[1:] != x.user_rows[:-1]
        if x.times is not None:
            fresh[1:] |= x.times[1:] != x.times[:-1]
        moment = np.cumsum(fresh)
        shared = ~fresh
        shared[:-1] |= ~fresh[1:]
        self.tied = np.flatnonzero(shared)
        self.moment = moment[self.tied]

    def __len__(self) -> int:
        return len(self.first)

    def shuffle(self, rng: np.random.Generator) -> None:
        """A fresh order of the events of each moment."""
        self.order[self.tied] = self.tied[np.argsort(self.moment + rng.random(len(self.tied)))]

    def events(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """[chosen, context + targets]: event numbers of these segments, -1 where there is none."""
        slots = self.first[chosen][:, None] + self.slots
        inside = slots >= self.start[chosen][:, None]
        inside &= slots < self.end[chosen][:, None]
        return np.where(inside, self.order[np.where(inside, slots, 0)], -1)

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[NDArray[np.int64]]:
        """All segments in a fresh order, `size` at a time, after a `shuffle`."""
        self.shuffle(rng)
        order = rng.permutation(len(self))
        for start in range(0, len(order), size):
            yield self.events(order[start : start + size])
