"""Which events a model may learn from and which it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float64, Interactions
from recommender.core.metrics import Held


@dataclass(frozen=True)
class Split:
    """What is learned from and what is asked for.

    Nothing of a user after `until` [users] may be learned from: events of a training pair can be
    younger than the pair's first one, by which the pair stands in `train`.
    """

    train: Interactions
    held: Held
    until: Float64 | None = None  # Unix seconds, infinity for users of whom nothing is held out


def leave_last_out(interactions: Interactions, min_events: int = 3) -> Split:
    """The newest event of each user who has at least `min_events`."""
    lengths = np.diff(interactions.indptr)
    last = np.zeros(len(interactions), bool)
    last[interactions.indptr[1:][lengths >= max(min_events, 1)] - 1] = True
    split = _split(interactions, last)
    if interactions.times is None:
        return split
    until = np.full(len(interactions.users), np.inf)
    until[interactions.user_rows[last]] = interactions.times[last]
    return replace(split, until=until)


def random_share(
    interactions: Interactions, seed: int, share: float = 0.2, min_events: int = 3
) -> Split:
    """A seeded random `share` of each user's events, at least one, never all."""
    lengths = np.diff(interactions.indptr)
    shuffled = np.random.default_rng(seed).random(len(interactions))
    order = np.lexsort((shuffled, interactions.user_rows))
    place = np.arange(len(interactions)) - np.repeat(interactions.indptr[:-1], lengths)
    taken = np.where(lengths >= max(min_events, 2), np.maximum(1, np.round(lengths * share)), 0)
    held = np.zeros(len(interactions), bool)
    held[order] = place < np.repeat(taken, lengths)
    return _split(interactions, held)


def global_time(interactions: Interactions, share: float = 0.2) -> Split:
    """All events of the newest `share` of time-ordered events, for users with earlier ones.

    One moment for everybody: nobody's later events are learned from.

    ValueError without times.
    """
    if interactions.times is None:
        raise ValueError("a split by time needs times")
    if not len(interactions):
        return _split(interactions, np.zeros(0, bool))
    end = np.quantile(interactions.times, 1 - share)
    split = _split(interactions, interactions.times > end)
    return replace(split, until=np.full(len(interactions.users), end))


def without(interactions: Interactions, held: Held) -> Interactions:
    """All but the held pairs."""
    n = np.int64(len(interactions.items))
    counts = [len(rows) for rows in held.item_rows]
    users = np.repeat(np.array(held.user_rows, np.int64), counts)
    items = np.concatenate([np.zeros(0, np.int64), *held.item_rows]).astype(np.int64)
    pairs = interactions.user_rows * n + interactions.item_rows
    return interactions.take(~np.isin(pairs, users * n + items))


def _split(interactions: Interactions, held: NDArray[np.bool_]) -> Split:
    train = interactions.take(~held)
    users, items = interactions.user_rows[held], interactions.item_rows[held]
    warm = np.diff(train.indptr)[users] > 0
    users, items = users[warm], items[warm]
    rows, starts = np.unique(users, return_index=True)
    parts = np.split(items, starts[1:]) if len(rows) else []
    return Split(train, Held(rows.tolist(), [part.tolist() for part in parts]))
