"""Neighbours among users: what people with a past like this one took.

The training histories are the model; a new user or event needs no training.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params, over_history
from recommender.core.models.neighbours import PRIOR
from recommender.core.models.pasts import Int64, Pasts
from recommender.core.models.recency import recency
from recommender.core.serving import top_k

NEWEST = 200  # past items of the user at hand that are looked up
TOGETHER = 16_384  # events of neighbours that are looked at together
DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class UserKNNConfig:
    """r̂(u, j) = Σ_v s(u, v) · y(v, j) / Σ_v s(u, v) (Herlocker et al. 1999)."""

    neighbours: int = 200
    shrink: float = 10.0  # s is scaled by common / (common + shrink)
    idf_power: float = 1.0  # rare items say more about taste; 0: all the same
    half_life: float = 8.0  # events; discounts older items of the user at hand
    takers: int = 2000  # of one item that are looked at; a seeded sample of more


@dataclass(frozen=True)
class SessionKNNConfig:
    """Sequence- and time-aware neighbourhood: STAN (Garg et al., SIGIR 2019)."""

    neighbours: int = 400
    half_life: float = 2.0  # events; how much an older item of the user at hand still counts
    step_half_life: float = 4.0  # events between a candidate and the match in the neighbour's past
    backward: float = 0.3  # of a candidate that the neighbour took before the match
    idf_power: float = 1.0
    length_power: float = 0.25  # neighbours with long pasts match everything: divide by this power
    half_life_days: float = 0.0  # between the two users' last events; 0: time apart plays no part
    takers: int = 2000


@dataclass(frozen=True, eq=False)
class _Neighbourhood(Model):
    averaged: ClassVar[bool]  # whether similarities are shares of one

    items: IdMap
    pasts: Pasts
    rarity: Float32  # [items], log(users / takers) to the power of the config
    lengths: Float32  # [users], what a neighbour's similarity is divided by
    popularity: Float32  # [items], log counts over their largest

    @abstractmethod
    def _matching(self) -> tuple[int, float]:
        """How many neighbours, and the half-life of the past items of the user at hand."""

    @abstractmethod
    def _trust(self, past: History, counted: Float32, users: Int32, common: Float32) -> Float32:
        """[users], what the raw similarity of those with `common` shared items is scaled by."""

    @abstractmethod
    def _worth(
        self, past: History, events: Int64, owner: Int64, similar: Float32, newest: Int32
    ) -> Float32:
        """[events], what each adds to its item's score.

        `owner` is the place of its neighbour in `similar`, the similarities, and in `newest`,
        the neighbours' events with the newest of the shared items.
        """

    def score_one(self, history: History) -> Float32:
        scores = PRIOR * self.popularity
        summed = np.zeros(len(self.items))
        for _, events, _, worth in self._events(history):
            summed += np.bincount(self.pasts.rows[events], worth, len(self.items))
        scores += summed.astype(np.float32)
        return scores

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Exact: a row sums to the item's score less its share of PRIOR.

        A neighbour's part is split by what each past item gave to the similarity.
        """
        _, shares, _ = self._neighbours(history)
        part = np.zeros((len(item_rows), shares.shape[1]), np.float32)
        place = np.full(len(self.items), -1)
        place[item_rows] = np.arange(len(item_rows))
        for some, events, owner, worth in self._events(history):
            asked = place[self.pasts.rows[events]]
            mine = np.flatnonzero(asked >= 0)
            given = shares[some]
            cells = asked[mine] * len(given) + owner[mine]
            by_user = np.bincount(cells, worth[mine], len(item_rows) * len(given))
            by_user = by_user.reshape(-1, len(given))[place[item_rows]]
            part += (by_user @ (given / given.sum(axis=1, keepdims=True))).astype(np.float32)
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return self.pasts.together(item_rows, k)

    def arrays(self) -> Arrays:
        own = {"rarity": self.rarity, "lengths": self.lengths, "popularity": self.popularity}
        return own | self.pasts.arrays()

    def _neighbours(self, history: History) -> tuple[Int32, Float32, Int32]:
        """What `_shares` says of the known past items; asked once for a history."""
        if self not in history.noted:
            history.noted[self] = self._shares(history.restricted(len(self.items)))
        found: tuple[Int32, Float32, Int32] = history.noted[self]
        return found

    def _events(self, history: History) -> Iterator[tuple[slice, Int64, Int64, Float32]]:
        """The neighbours' events, some neighbours at a time: who, which, whose, worth how much.

        All at once would be the most memory that a request takes.
        """
        past = history.restricted(len(self.items))
        users, shares, newest = self._neighbours(history)
        ends = np.cumsum(self.pasts.starts[users + 1] - self.pasts.starts[users])
        first = 0
        while first < len(users):
            full = (ends[first - 1] if first else 0) + TOGETHER
            last = max(first + 1, int(np.searchsorted(ends, full, side="right")))
            some = slice(first, last)
            events, owner = self.pasts.events_of(users[some])
            similar = shares[some].sum(axis=1)
            yield some, events, owner, self._worth(past, events, owner, similar, newest[some])
            first = last

    def _takers(self, past: History) -> tuple[Int32, Int64, Int32, Int64]:
        """Who took the newest past items: their events, the items' places there, the users, and
        the place of each event's user among them.

        Several models of one stack look at the same pasts, so it is noted for all of them.
        """
        key = "takers", id(self.pasts.takers)  # alive as long as this model is
        if key not in past.noted:
            takers, events, owner = self.pasts.takers_of(past.rows[-NEWEST:])
            there = np.zeros(self.pasts.n_users, np.bool_)
            there[takers] = True
            users = np.flatnonzero(there).astype(np.int32)
            place = np.empty(self.pasts.n_users, np.int32)
            place[users] = np.arange(len(users))
            past.noted[key] = events, owner, users, place[takers].astype(np.int64)
        found: tuple[Int32, Int64, Int32, Int64] = past.noted[key]
        return found

    def _shares(self, past: History) -> tuple[Int32, Float32, Int32]:
        """Neighbours [k], what each past item adds to their similarity [k, history], and for
        each the event with the newest item that it shares.
        """
        k, half_life = self._matching()
        counted = past.weights * recency(past, half_life)
        counted[:-NEWEST] = 0
        rows = past.rows[-NEWEST:]
        events, owner, users, of = self._takers(past)
        each = (counted[-NEWEST:] * self.rarity[rows])[owner] * self.pasts.weights[events]
        trust = self._trust(past, counted, users, np.bincount(of).astype(np.float32))
        similar = np.bincount(of, each, len(users)).astype(np.float32) * trust
        best = top_k(similar, k)
        best = best[similar[best] > 0]
        place = np.full(len(users), -1)
        place[best] = np.arange(len(best))
        users, trust = users[best], trust[best]
        near = np.flatnonzero(place[of] >= 0)
        who = place[of[near]]
        cells = who * len(past) + owner[near] + len(past) - len(rows)
        shares = np.bincount(cells, each[near], len(users) * len(past))
        newest = np.zeros(len(users), np.int32)
        newest[who] = events[near]  # oldest item first, so the newest stays
        shared = shares.reshape(len(users), len(past)).astype(np.float32) * trust[:, None]
        if self.averaged:
            shared /= shared.sum() + np.float32(1e-9)
        return users, shared, newest


@dataclass(frozen=True, eq=False)
class UserKNN(_Neighbourhood):
    """Cosine between users over shared items, shrunk where few are shared."""

    name: ClassVar[str] = "user_knn"
    averaged: ClassVar[bool] = True

    config: UserKNNConfig

    def _matching(self) -> tuple[int, float]:
        return self.config.neighbours, self.config.half_life

    def _trust(self, past: History, counted: Float32, users: Int32, common: Float32) -> Float32:
        own = np.sqrt(np.sum(counted**2 * self.rarity[past.rows])) + np.float32(1e-9)
        trust: Float32 = common / (common + np.float32(self.config.shrink))
        trust /= own * self.lengths[users]
        return trust

    def _worth(
        self, past: History, events: Int64, owner: Int64, similar: Float32, newest: Int32
    ) -> Float32:
        return similar[owner] * self.pasts.weights[events]

    def params(self) -> Params:
        return asdict(self.config)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        return cls(items, *_parts(arrays), UserKNNConfig(**params))


@dataclass(frozen=True, eq=False)
class SessionKNN(_Neighbourhood):
    """Pasts that share this one's newest items, and there what stands close behind the match."""

    name: ClassVar[str] = "session_knn"
    averaged: ClassVar[bool] = False

    config: SessionKNNConfig

    def _matching(self) -> tuple[int, float]:
        return self.config.neighbours, self.config.half_life

    def _trust(self, past: History, counted: Float32, users: Int32, common: Float32) -> Float32:
        near = np.float32(1) / self.lengths[users]
        if self.config.half_life_days > 0 and past.times is not None and len(past):
            apart = np.abs(past.times[-1] - self.pasts.newest[users]) / DAY_SECONDS
            near = near * np.exp2(-apart / self.config.half_life_days).astype(np.float32)
        return near

    def _worth(
        self, past: History, events: Int64, owner: Int64, similar: Float32, newest: Int32
    ) -> Float32:
        worth = similar[owner] * self.pasts.weights[events]
        if past.times is None or self.config.step_half_life <= 0:
            return worth
        step = self.pasts.places[events]
        step -= self.pasts.places[newest][owner]  # the match: the newest item that both have
        behind = step >= 0
        step = np.abs(step, out=step)
        step *= np.float32(-np.log(2) / self.config.step_half_life)
        worth *= np.exp(step, out=step)
        worth *= np.where(behind, np.float32(1), np.float32(self.config.backward))
        return worth

    def params(self) -> Params:
        return asdict(self.config)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        return cls(items, *_parts(arrays), SessionKNNConfig(**params))


def _parts(arrays: Mapping[str, NDArray[Any]]) -> tuple[Pasts, Float32, Float32, Float32]:
    own = arrays["rarity"], arrays["lengths"], arrays["popularity"]
    return Pasts.from_arrays(arrays), *own
