"""The training histories in flat arrays, by user and by item: what user neighbours look up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64, Int32
from recommender.core.models.base import Arrays
from recommender.core.serving import top_k

Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pasts:
    """Who took what. Lists of takers are cut, so a course that everybody took stays cheap."""

    starts: Int64  # [users + 1]: where each user's events begin
    rows: Int32  # [events], the item of each, a user's oldest first
    weights: Float32  # [events]
    places: Float32  # [events], 0 for a user's first; events of one second share their mean
    newest: Float64  # [users], Unix seconds of the last event, 0 without times
    item_starts: Int64  # [items + 1]: where each item's takers begin
    taker_events: Int32  # [takers], the event that made each a taker
    takers: Int32  # [takers], the user of each

    @property
    def n_users(self) -> int:
        return len(self.starts) - 1

    @property
    def n_items(self) -> int:
        return len(self.item_starts) - 1

    def events_of(self, users: Int32) -> tuple[Int64, Int64]:
        """Event numbers of all these users, and for each the place of its user in `users`."""
        return spans(self.starts, users)

    def takers_of(self, items: Int32) -> tuple[Int32, Int32, Int64]:
        """User and event of each taker of these items, and the place of its item in `items`."""
        found, owner = spans(self.item_starts, items)
        return self.takers[found], self.taker_events[found], owner

    def together(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        """For each item the k with the best cosine over users, itself left out."""
        counts = np.maximum(np.diff(self.item_starts), 1).astype(np.float32)
        found = np.full((len(item_rows), k), -1, np.int32)
        scores = np.zeros((len(item_rows), k), np.float32)
        for n, row in enumerate(item_rows):
            users, _, _ = self.takers_of(np.array([row], np.int32))
            events, _ = self.events_of(users)
            both = np.bincount(self.rows[events], minlength=self.n_items).astype(np.float32)
            cosine = both / np.sqrt(counts * counts[row])
            best = top_k(cosine, k, np.array([row]))
            best = best[cosine[best] > 0]
            found[n, : len(best)] = best
            scores[n, : len(best)] = cosine[best]
        return found, scores

    def arrays(self) -> Arrays:
        return {name: value for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


def spans(starts: NDArray[np.integer[Any]], chosen: Int32) -> tuple[Int64, Int64]:
    """All numbers from starts[c] to starts[c + 1] for each c of `chosen`, and c's place there."""
    first = starts[chosen]
    lengths = starts[np.asarray(chosen, np.int64) + 1] - first
    before = np.cumsum(lengths) - lengths
    owner = np.repeat(np.arange(len(lengths)), lengths)
    numbers = np.repeat(first - before, lengths)
    numbers += np.arange(len(owner))
    return numbers, owner
