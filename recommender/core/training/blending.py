"""Weights of a blend, learned from the validation items alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recommender.core.data import Float32, Interactions
from recommender.core.metrics import Held, gains
from recommender.core.models.base import Model
from recommender.core.models.ensemble import standardized
from recommender.core.serving import top_k

MOST_SCORES = 20_000_000  # users x items of one model held in memory: 80 MB


@dataclass(frozen=True)
class Board:
    """Standardized scores of several models for the same validation users."""

    scores: list[Float32]  # one [users, items] per model
    seen: list[NDArray[np.int32]]  # per user, rows that may not be recommended
    held: Held

    def mean(self, weights: Sequence[float], k: int, name: str) -> float:
        """The mean of one of `gains` when the models are summed with these weights."""
        found = []
        for n, relevant in enumerate(self.held.item_rows):
            total = np.zeros(self.scores[0].shape[1], np.float32)
            for weight, scores in zip(weights, self.scores, strict=True):
                if weight:
                    total += np.float32(weight) * scores[n]
            found.append(gains(top_k(total, k, self.seen[n]), relevant, k)[name])
        return float(np.mean(found)) if found else 0.0


def board(models: Sequence[Model], interactions: Interactions, held: Held) -> Board:
    """Scores of `models` for the held users, in their order."""
    histories = interactions.histories(held.user_rows)
    scores = []
    for model in models:
        filled = np.empty((len(histories), len(interactions.items)), np.float32)
        for n, history in enumerate(histories):
            filled[n] = standardized(model.score_one(history))
        scores.append(filled)
    return Board(scores, [history.rows for history in histories], held)


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

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        gradient = 2 * ridge * weights - reached
        value = float(ridge * weights @ weights - weights @ reached)
        for n in range(users):
            rows = np.stack([s[n] for s in board.scores])
            total = weights @ rows
            total[board.seen[n]] = -np.inf
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
