"""Weights of a blend, learned from the validation items alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recommender.core.data import Float32, Interactions
from recommender.core.metrics import Held, discounts
from recommender.core.models.base import Model
from recommender.core.models.ensemble import standardized

MOST_SCORES = 20_000_000  # users x items of one model held in memory: 80 MB


@dataclass(frozen=True)
class Board:
    """Standardized scores of several models for the same validation users, seen items at -inf."""

    scores: list[Float32]  # one [users, items] per model
    held: Held

    def mixed(self, weights: Sequence[float]) -> Float32:
        """[users, items] under these weights."""
        used = [(w, s) for w, s in zip(weights, self.scores, strict=True) if w]
        total = np.float32(used[0][0]) * used[0][1]
        for weight, scores in used[1:]:
            total += np.float32(weight) * scores
        return total

    def mean(self, weights: Sequence[float], k: int, name: str) -> float:
        """The mean of hr, ndcg or recall at k when the models are summed with these weights."""
        return self.judged(self.mixed(weights), k, name)

    def judged(self, total: Float32, k: int, name: str) -> float:
        found = 0.0
        discount = discounts(k)
        for row, relevant in zip(total, self.held.item_rows, strict=True):
            targets = row[np.asarray(relevant)]
            ranks = np.count_nonzero(row[None, :] > targets[:, None], axis=1)
            hits = ranks[ranks < k]
            if name == "hr":
                found += float(len(hits) > 0)
            elif name == "recall":
                found += len(hits) / len(ranks)
            else:
                found += float(discount[hits].sum() / discount[: len(ranks)].sum())
        return found / max(len(total), 1)


def greedy_weights(board: Board, k: int, name: str, steps: int = 12) -> list[float]:
    """Add one model at a time, repeats allowed; the best sum on the way, scaled to sum to 1.

    Ensemble selection of Caruana et al. 2004.
    """
    counts = [0] * len(board.scores)
    kept, best = counts, -1.0
    total = np.zeros(board.scores[0].shape, np.float32)
    for _ in range(steps):
        values = [board.judged(total + scores, k, name) for scores in board.scores]
        chosen = int(np.argmax(values))
        counts = [count + (n == chosen) for n, count in enumerate(counts)]
        total += board.scores[chosen]
        if values[chosen] > best:
            kept, best = counts, values[chosen]
    return [count / sum(kept) for count in kept]


def board(models: Sequence[Model], interactions: Interactions, held: Held) -> Board:
    """Scores of `models` for the held users, in their order."""
    histories = interactions.histories(held.user_rows)
    scores = []
    for model in models:
        filled = np.empty((len(histories), len(interactions.items)), np.float32)
        for n, history in enumerate(histories):
            filled[n] = standardized(model.score_one(history))
            filled[n, history.rows] = -np.inf
        scores.append(filled)
    return Board(scores, held)


def sampled_users(held: Held, n_items: int, most: int, seed: int) -> Held:
    """At most `most` of the users, and few enough for MOST_SCORES; seeded."""
    room = max(1, min(most, MOST_SCORES // max(n_items, 1)))
    if len(held) <= room:
        return held
    chosen = np.sort(np.random.default_rng(seed).permutation(len(held))[:room])
    return Held([held.user_rows[n] for n in chosen], [held.item_rows[n] for n in chosen])


def softmax_weights(board: Board, ridge: float = 1e-3) -> list[float]:
    """Non-negative weights that make the held items likeliest among the unseen (listwise).

    One weight per model, scaled to sum to 1 (all equal when nothing helps).
    """
    users = len(board.held)
    count = len(board.scores)
    if not users:
        return [1 / count] * count
    pairs_user = np.repeat(np.arange(users), [len(r) for r in board.held.item_rows])
    pairs_item = np.concatenate([np.asarray(r, np.int64) for r in board.held.item_rows])
    share = 1 / np.bincount(pairs_user, minlength=users)[pairs_user] / users
    at = np.stack([s[pairs_user, pairs_item] for s in board.scores])  # [models, pairs]
    reached = at @ share

    unseen = [np.where(np.isfinite(row), 0, -np.inf) for row in board.scores[0]]
    finite = [np.where(np.isfinite(s), s, np.float32(0)) for s in board.scores]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        gradient = 2 * ridge * weights - reached
        value = float(ridge * weights @ weights - weights @ reached)
        for n in range(users):
            rows = np.stack([s[n] for s in finite])
            total = weights @ rows + unseen[n]
            top = total.max()
            likely = np.exp(total - top)
            mass = likely.sum()
            value += float(top + np.log(mass)) / users
            gradient += rows @ (likely / (mass * users))
        return value, gradient

    start = np.full(count, 1 / count)
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * count,
        options={"maxiter": 40},
    )
    total = float(found.x.sum())
    return [float(w) / total for w in found.x] if total > 0 else [1 / count] * count
