"""What is known about items beside who took them: how popular, how new, how much wanted lately."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64, History
from recommender.core.models.base import Arrays

DAY_SECONDS = 86_400.0
LOG_SCALE = np.float32(5)  # brings logs of days to about the scale of the other columns
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
            found[1:3] = self.lately[:, self._moment(asked)]
            days = ((asked - self.first) / DAY_SECONDS).astype(np.float32)
            logs = np.log(1 + np.abs(days)) / LOG_SCALE
            found[3] = np.where(days > 0, logs, 0)
            found[4] = np.where(days > 0, 0, logs)
        return found.T

    def score(self, history: History, weights: Float32) -> Float32:
        """[items]: `columns` times `weights`; for feeds, which ask after all that is known."""
        if not len(self.moments):
            popular: Float32 = self.popularity * weights[0]
            return popular
        asked = self.asked_at(history)
        if asked <= self._newest:
            known: Float32 = self.columns(history) @ weights
            return known
        logs: Float32 = self._ages + np.float32((asked - self.moments[-1]) / DAY_SECONDS)
        logs += 1
        np.log(logs, out=logs)
        logs *= weights[3] / LOG_SCALE
        logs += weights[:3] @ self._wide(self._moment(asked))
        return logs

    @cached_property
    def _newest(self) -> float:
        """When the last of the items was first taken."""
        return float(self.first.max(initial=-np.inf))

    @cached_property
    def _ages(self) -> Float32:
        """[items], days from when each was first taken to the newest moment."""
        days: Float32 = ((self.moments[-1] - self.first) / DAY_SECONDS).astype(np.float32)
        return days

    def _moment(self, asked: float) -> int:
        return max(int(np.searchsorted(self.moments, asked, side="right")) - 1, 0)

    def _wide(self, moment: int) -> Float32:
        """[3, items]: popularity and `lately` of one moment, the last one asked for kept."""
        kept: Float32 | None = self._kept.get(moment)
        if kept is None:
            kept = np.stack([self.popularity, *self.lately[:, moment].astype(np.float32)])
            self._kept.clear()
            self._kept[moment] = kept
        return kept

    @cached_property
    def _kept(self) -> dict[int, Float32]:
        return {}

    def asked_at(self, history: History) -> float:
        """When the history asks: as told, else at its last event, else at the newest moment."""
        if history.now is not None:
            return history.now
        if history.times is not None and len(history.times):
            return float(history.times[-1])
        return float(self.moments[-1])

    def arrays(self) -> Arrays:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
