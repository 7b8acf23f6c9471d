"""Lays the training histories out for the models that look neighbours up in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from recommender.core.data import Float32, Interactions
from recommender.core.models.base import Model
from recommender.core.models.pasts import Pasts
from recommender.core.models.recency import ages
from recommender.core.models.user_neighbours import (
    SessionKNN,
    SessionKNNConfig,
    UserKNN,
    UserKNNConfig,
)
from recommender.core.training.base import FitOptions
from recommender.core.training.popular import popularity


@dataclass(frozen=True)
class UserKNNTrainer:
    name: ClassVar[str] = "user_knn"
    config: UserKNNConfig = field(default_factory=UserKNNConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        c = self.config
        rare = rarity(interactions, c.idf_power)
        squares = interactions.weights**2 * rare[interactions.item_rows]
        summed = np.bincount(interactions.user_rows, squares, len(interactions.users))
        lengths = np.sqrt(np.maximum(summed, 1e-9)).astype(np.float32)
        pasts = pasts_of(interactions, c.takers, options.seed)
        options.tell(1, 1)
        return UserKNN(interactions.items, pasts, rare, lengths, _prior(interactions), c)


@dataclass(frozen=True)
class SessionKNNTrainer:
    name: ClassVar[str] = "session_knn"
    config: SessionKNNConfig = field(default_factory=SessionKNNConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        c = self.config
        counts = np.maximum(np.diff(interactions.indptr), 1)
        lengths = (counts**c.length_power).astype(np.float32)
        rare = rarity(interactions, c.idf_power)
        pasts = pasts_of(interactions, c.takers, options.seed)
        options.tell(1, 1)
        return SessionKNN(interactions.items, pasts, rare, lengths, _prior(interactions), c)


def rarity(interactions: Interactions, power: float) -> Float32:
    """[items], log(1 + users / takers)^power; 1 for all where the power is 0."""
    users = max(1, int(np.count_nonzero(np.diff(interactions.indptr))))
    found = np.log1p(users / np.maximum(interactions.item_counts, 1)) ** power
    return found.astype(np.float32)


def pasts_of(interactions: Interactions, takers: int, seed: int) -> Pasts:
    """The histories with at most `takers` takers of each item, a seeded sample of them."""
    x, n = interactions, len(interactions)
    shuffled = np.random.default_rng(seed).permutation(n)
    by_item = shuffled[np.argsort(x.item_rows[shuffled], kind="stable")]
    counts = x.item_counts
    nth = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    events = np.sort(by_item[nth < takers])  # in each item by user
    events = events[np.argsort(x.item_rows[events], kind="stable")]
    ends = np.cumsum(np.minimum(counts, takers))
    newest = np.zeros(len(x.users))
    if x.times is not None:
        newest[x.user_rows] = x.times  # rows are oldest first: the last one stays
    return Pasts(
        starts=x.indptr,
        rows=x.item_rows,
        weights=x.weights,
        places=_places(x),
        newest=newest,
        item_starts=np.concatenate([[0], ends]).astype(np.int64),
        taker_events=events.astype(np.int32),
        takers=x.user_rows[events],
    )


def _places(x: Interactions) -> Float32:
    """[events], events of the same user before each; those of one second share their mean."""
    places = np.zeros(len(x), np.float32)
    if x.times is not None:
        for start, end in zip(x.indptr[:-1], x.indptr[1:], strict=True):
            if end > start:
                places[start:end] = end - start - 1 - ages(x.times[start:end])
    return places


def _prior(interactions: Interactions) -> Float32:
    counted = popularity(interactions)
    return counted / np.float32(max(counted.max(initial=0), 1e-9))
