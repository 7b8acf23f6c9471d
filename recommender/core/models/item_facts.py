"""What is known about items beside who took them: how popular, how new, how much wanted lately."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64, History
from recommender.core.models.base import Arrays

DAY_SECONDS = 86_400.0
TIMELESS = 1  # columns without times
TIMED = 5  # and with them


@dataclass(frozen=True, eq=False)
class ItemFacts:
    """Columns of numbers about each item, as of the moment that a history asks.

    Popularity; and with times: what was taken shortly and somewhat before that moment, the log
    of the days since the item was first taken, and of the days until it will be. The last one
    is 0 for a feed, which asks now; it keeps a training set from recommending the future.
    """

    popularity: Float32  # [items], log counts, standardised
    first: Float64  # [items], Unix seconds of the first event, the median without any; or empty
    moments: Float64  # [m], rising: from each on, the next of `lately` holds; or empty
    lately: NDArray[np.floating[Any]]  # [half-lives, m, items], float16, standardised log counts

    @property
    def width(self) -> int:
        return TIMED if len(self.moments) else TIMELESS

    def columns(self, history: History) -> Float32:
        """[items, width]."""
        found = np.empty((self.width, len(self.popularity)), np.float32)
        found[0] = self.popularity
        if len(self.moments):
            asked = self.asked_at(history)
            at = int(np.searchsorted(self.moments, asked, side="right")) - 1
            found[1:3] = self.lately[:, max(at, 0)]
            days = ((asked - self.first) / DAY_SECONDS).astype(np.float32)
            logs = np.log(1 + np.abs(days)) / np.float32(5)  # about the scale of the others
            found[3] = np.where(days > 0, logs, 0)
            found[4] = np.where(days > 0, 0, logs)
        return found.T

    def asked_at(self, history: History) -> float:
        """When the history asks: as told, else at its last event, else at the newest moment."""
        if history.now is not None:
            return history.now
        if history.times is not None and len(history.times):
            return float(history.times[-1])
        return float(self.moments[-1])

    def arrays(self) -> Arrays:
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
