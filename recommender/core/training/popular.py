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


def popularity(
    interactions: Interactions, half_life_days: float = 0.0, now: float | None = None
) -> Float32:
    """[items], log(1 + decayed count); the decay starts at `now` or the newest event."""
    weights = interactions.weights.astype(np.float64)
    times = interactions.times
    if half_life_days > 0 and times is not None and len(times):
        age = np.maximum((times.max() if now is None else now) - times, 0) / DAY_SECONDS
        weights = weights * np.exp2(-age / half_life_days)
    counts = np.bincount(interactions.item_rows, weights, len(interactions.items))
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
