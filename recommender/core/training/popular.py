"""Time-decayed counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from recommender.core.data import Float32, Interactions
from recommender.core.models.base import Model
from recommender.core.models.popular import Popular, PopularConfig, Recent
from recommender.core.training.base import FitOptions

DAY_SECONDS = 86_400.0
RECENT_DAYS = 14.0
TOGETHER = 1_000_000  # events


def popularity(
    interactions: Interactions, half_life_days: float = 0.0, now: float | None = None
) -> Float32:
    """[items], log(1 + decayed count); the decay starts at `now` or the newest event."""
    x, n = interactions, len(interactions.items)
    times = x.times if half_life_days > 0 and len(x) else None
    newest = now if now is not None or times is None else float(times.max())
    counts = np.zeros(n)
    for start in range(0, len(x), TOGETHER):  # in double precision all at once would be the most
        part = slice(start, start + TOGETHER)  # memory that a training of `ials` takes
        weights = x.weights[part].astype(np.float64)
        if times is not None and newest is not None:
            age = np.maximum(newest - times[part], 0) / DAY_SECONDS
            weights *= np.exp2(-age / half_life_days)
        counts += np.bincount(x.item_rows[part], weights, n)
    return np.log1p(np.maximum(counts, 0)).astype(np.float32)


@dataclass(frozen=True)
class PopularTrainer:
    name: ClassVar[str] = "popular"
    config: PopularConfig = field(default_factory=PopularConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        counted = popularity(interactions, self.config.half_life_days, options.now)
        return Popular(self.config, interactions.items, counted)


@dataclass(frozen=True)
class RecentTrainer:
    name: ClassVar[str] = "recent"
    config: PopularConfig = field(default_factory=lambda: PopularConfig(half_life_days=RECENT_DAYS))

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        counted = popularity(interactions, self.config.half_life_days, options.now)
        return Recent(self.config, interactions.items, counted)
