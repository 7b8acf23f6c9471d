"""What candidates say about the validation items, and the plainest way of adding it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64, Interactions
from recommender.core.metrics import Held, discounts
from recommender.core.models.base import Model
from recommender.core.models.item_facts import ItemFacts
from recommender.core.models.pasts import spans
from recommender.core.models.stack import standardise

MOST_SCORES = 12_000_000  # users x items of one model held in half precision: 24 MB
BEST_OF_EACH = 24  # items a model brings to the comparison of a user
OTHERS = 72  # random unseen items beside them, each standing for all that are left out
STEPS = 10  # of the greedy selection
BLENDED = 6  # models it looks at


@dataclass(frozen=True, eq=False)
class Board:
    """For each validation user the items that compete: the held ones, the best of each model,
    and a seeded sample of all others, each of which counts for as many as it stands for.
    """

    z: Float32  # [rows, models], standardised over the user's catalogue
    facts: Float32  # [rows, columns of ItemFacts]
    stands_for: Float32  # [rows], 1 for all but the sampled
    starts: NDArray[np.int64]  # [users], the first row of each
    relevant: NDArray[np.int64]  # rows of the held items, by user
    lengths: NDArray[np.int64]  # [users], known past items

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def owner(self) -> NDArray[np.int64]:
        """[rows], the user of each."""
        return np.repeat(np.arange(len(self)), np.diff(np.append(self.starts, len(self.z))))

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """For each held item all rows of its user one after the other: the rows, where each
        held item's begin, and the user of each held item."""
        ends = np.append(self.starts, len(self.z))
        user = np.searchsorted(ends, self.relevant, side="right") - 1
        rows, _ = spans(ends, user.astype(np.int32))
        counts = np.diff(ends)[user]
        return rows, np.cumsum(counts) - counts, user

    def judged(self, scores: Float32, k: int, name: str) -> Float64:
        """[users]: hr, ndcg or recall at k of these scores of the rows."""
        rows, first, user = self._pairs
        counts = np.diff(np.append(first, len(rows)))
        lead = scores[rows] - np.repeat(scores[self.relevant], counts)
        standing = self.stands_for[rows]
        ahead = np.add.reduceat((np.sign(lead) + 1) * standing, first) - 1
        ranks = (ahead / 2).astype(np.int64)  # equals stand in any order: half of them before
        users, hit, discount = len(self), ranks < k, discounts(k)
        held = np.bincount(user, minlength=users)
        if name == "hr":
            return (np.bincount(user[hit], minlength=users) > 0).astype(np.float64)
        if name == "recall":
            share: Float64 = np.bincount(user[hit], minlength=users) / held
            return share
        ideal = np.cumsum(discount)[np.minimum(held, k) - 1]
        gain: Float64 = np.bincount(user[hit], discount[ranks[hit]], users) / ideal
        return gain

    def of_models(self, kept: NDArray[np.integer[Any]]) -> Board:
        """The same with some of the models; what competes stays."""
        return replace(self, z=np.ascontiguousarray(self.z[:, kept]))

    def of_users(self, users: NDArray[np.bool_]) -> Board:
        """The same with some of the users."""
        rows = users[self.owner]
        place = np.cumsum(rows) - 1
        return Board(
            self.z[rows],
            self.facts[rows],
            self.stands_for[rows],
            place[self.starts[users]],
            place[self.relevant[rows[self.relevant]]],
            self.lengths[users],
        )


def greedy_weights(board: Board, users: NDArray[np.bool_], k: int, name: str) -> Float64:
    """Add one model at a time, repeats allowed; the best sum on the way, scaled to sum to 1.

    Judged on `users` [users] alone, and among the models that are best there alone. Ensemble
    selection of Caruana et al. 2004.
    """
    part = board.of_users(users)
    models = part.z.shape[1]
    alone = [part.judged(part.z[:, n], k, name).mean() for n in range(models)]
    able = np.sort(np.argsort(-np.array(alone), kind="stable")[:BLENDED])
    counts, kept, best = np.zeros(models), np.ones(models), -1.0
    total = np.zeros(len(part.z), np.float32)
    for _ in range(STEPS):
        values = [part.judged(total + part.z[:, n], k, name).mean() for n in able]
        chosen = int(able[np.argmax(values)])
        counts[chosen] += 1
        total += part.z[:, chosen]
        if max(values) > best:
            kept, best = counts.copy(), max(values)
    shares: Float64 = kept / kept.sum()
    return shares


def standings(model: Model, interactions: Interactions, held: Held) -> NDArray[np.float16]:
    """[users, items] in half precision: z of the unseen items, -inf for the seen ones."""
    found = np.empty((len(held), len(interactions.items)), np.float16)
    for n, user in enumerate(held.user_rows):
        history = interactions.history(user)
        z = np.array(model.score_one(history), np.float32)
        standardise(z)
        found[n] = z
        found[n, history.rows] = -np.inf
    return found


def board(
    stood: Sequence[NDArray[np.float16]],
    interactions: Interactions,
    held: Held,
    facts: ItemFacts,
    seed: int,
) -> Board:
    """The competing items of every user, from the standings of each model."""
    rng = np.random.default_rng(seed)
    z, columns, weights, relevant, lengths = [], [], [], [], []
    counts: list[int] = []
    for n, (user, wanted) in enumerate(zip(held.user_rows, held.item_rows, strict=True)):
        history = interactions.history(user)
        every = np.stack([one[n] for one in stood]).astype(np.float32)
        unseen = np.isfinite(every[0])
        chosen = np.zeros(every.shape[1], bool)
        chosen[np.asarray(wanted)] = True
        if every.shape[1] > BEST_OF_EACH:
            chosen[np.argpartition(-every, BEST_OF_EACH, axis=1)[:, :BEST_OF_EACH]] = True
        chosen &= unseen
        others = np.flatnonzero(unseen & ~chosen)
        drawn = rng.permutation(others)[:OTHERS]
        rows = np.concatenate([np.flatnonzero(chosen), drawn])
        relevant.append(sum(counts) + np.flatnonzero(np.isin(rows, wanted)))
        counts.append(len(rows))
        z.append(every[:, rows].T)
        columns.append(facts.columns(history)[rows])
        standing = np.ones(len(rows), np.float32)
        standing[len(rows) - len(drawn) :] = len(others) / max(len(drawn), 1)
        weights.append(standing)
        lengths.append(len(history))
    starts = np.cumsum(counts, dtype=np.int64) - np.array(counts, np.int64)
    return Board(
        np.concatenate(z),
        np.concatenate(columns),
        np.concatenate(weights),
        starts,
        np.concatenate(relevant),
        np.array(lengths),
    )


def sampled_users(held: Held, n_items: int, most: int, seed: int) -> Held:
    """At most `most` of the users, and few enough for MOST_SCORES; seeded."""
    room = max(1, min(most, MOST_SCORES // max(n_items, 1)))
    if len(held) <= room:
        return held
    chosen = np.sort(np.random.default_rng(seed).permutation(len(held))[:room])
    return Held([held.user_rows[n] for n in chosen], [held.item_rows[n] for n in chosen])
