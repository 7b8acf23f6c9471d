"""Cuts histories into segments of equal width that a network takes in batches."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recommender.core.data import Interactions


def segments(
    x: Interactions, rng: np.random.Generator, context: int, targets: int
) -> NDArray[np.int64]:
    """Event numbers [segments, context + targets], -1 where there is none.

    Every event but a user's first is a target once, in the last `targets` columns. Events of one
    second come in a fresh order, and so does everything where the data has no times.
    """
    times = np.zeros(len(x)) if x.times is None else x.times
    order = np.lexsort((rng.random(len(x)), times, x.user_rows))
    lengths = np.diff(x.indptr)
    pieces = -(-np.maximum(lengths - 1, 0) // targets)  # the first event is no target
    users = np.repeat(np.arange(len(lengths)), pieces)
    nth = np.arange(len(users)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = x.indptr[users] + 1 + nth * targets - context
    slots = first[:, None] + np.arange(context + targets)
    inside = (slots >= x.indptr[users][:, None]) & (slots < x.indptr[users + 1][:, None])
    if not len(x):
        return np.full(slots.shape, -1, np.int64)
    return np.where(inside, order[np.where(inside, slots, 0)], -1)


def decay_band(half_life: float, context: int, targets: int) -> Tensor:
    """[targets, context + targets]: the weight of each slot before each target, 0 after it."""
    target = torch.arange(targets)[:, None] + context
    age = target - 1 - torch.arange(context + targets)[None, :]
    weight = torch.exp2(-age / half_life) if half_life > 0 else torch.ones(age.shape)
    return torch.where(age >= 0, weight, torch.zeros(()))
