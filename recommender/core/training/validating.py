"""What decides when a network stops: NDCG on held-out items, looked at after every epoch."""

from __future__ import annotations

import numpy as np

from recommender.core.data import History, Interactions
from recommender.core.metrics import Held, discounts
from recommender.core.models.base import Model

K = 10
MOST_USERS = 5_000  # one standard error of NDCG@10 is then about .004


class Validation:
    """`mean_gain` at 10 over the held-out users, a seeded sample where there are many.

    Histories are read once, and a rank is counted, not sorted out.
    """

    def __init__(self, interactions: Interactions, held: Held, seed: int, most: int = MOST_USERS):
        self.cases: list[tuple[History, list[int]]] = []
        order = np.random.default_rng(seed).permutation(len(held))[:most]
        for n in np.sort(order):
            history = interactions.history(held.user_rows[n])
            self.cases.append((history, list(held.item_rows[n])))
        self.discounts = discounts(K)

    def ndcg(self, model: Model) -> float:
        """The mean over users; equal scores stand in the order of rows."""
        total = 0.0
        for history, wanted in self.cases:
            scores = model.score_one(history)
            seen = scores[history.rows]
            gained = 0.0
            for item in wanted:
                own = scores[item]
                rank = np.count_nonzero(scores > own) - np.count_nonzero(seen > own)
                if rank >= K:
                    continue
                rank += np.count_nonzero(scores[:item] == own)
                rank -= np.count_nonzero(seen[history.rows < item] == own)
                if rank < K:
                    gained += self.discounts[rank]
            total += gained / self.discounts[: min(K, len(wanted))].sum() if wanted else 0.0
        return total / max(len(self.cases), 1)
