"""Cosines between items, counted; a block of items at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy import sparse

from recommender.core.data import Interactions
from recommender.core.models.base import Model
from recommender.core.models.item_knn import ItemKNN, ItemKNNConfig
from recommender.core.models.neighbours import Neighbours
from recommender.core.training.base import FitOptions
from recommender.core.training.neighbours import user_shares
from recommender.core.training.popular import popularity

BLOCK = 1000  # items whose neighbours are counted at once


@dataclass(frozen=True)
class ItemKNNTrainer:
    name: ClassVar[str] = "item_knn"
    config: ItemKNNConfig = field(default_factory=ItemKNNConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """cos(i, j) = users of both / (sqrt(users of i * users of j) + regularization).

        With a `user_power` each counts for their share of `user_shares`.
        """
        c, n = self.config, len(interactions.items)
        cells = (interactions.user_rows, interactions.item_rows)
        shares = user_shares(interactions, c.user_power)
        matrix = sparse.csc_matrix((np.sqrt(shares), cells), (len(interactions.users), n))
        counts = np.bincount(interactions.item_rows, shares, n)
        root = np.sqrt(np.where(counts > 0, counts, 1)).astype(np.float32)
        keep = max(1, min(c.neighbours or n, n))
        columns = np.zeros((n, keep), np.int32)
        values = np.zeros((n, keep), np.float32)
        for start in range(0, n, BLOCK):
            shared = (matrix[:, start : start + BLOCK].T @ matrix).tocsr()
            for at in range(shared.shape[0]):
                span = slice(shared.indptr[at], shared.indptr[at + 1])
                others, row = shared.indices[span], start + at
                cosine = shared.data[span] / (root[row] * root[others] + c.regularization)
                cosine[others == row] = 0
                best = np.lexsort((others, -cosine))[:keep]
                columns[row, : len(best)], values[row, : len(best)] = others[best], cosine[best]
            options.tell(min(start + BLOCK, n), n)
        counted = popularity(interactions)
        prior = counted / np.float32(max(counted.max(initial=0), 1e-9))
        return ItemKNN(c, interactions.items, Neighbours.packed(columns, values), prior)
