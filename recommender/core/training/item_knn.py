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
from recommender.core.training.neighbours import strongest, user_shares
from recommender.core.training.popular import popularity

BLOCK = 512  # items whose neighbours are counted at once


@dataclass(frozen=True)
class ItemKNNTrainer:
    name: ClassVar[str] = "item_knn"
    config: ItemKNNConfig = field(default_factory=ItemKNNConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """cos(i, j) = users of both / (sqrt(users of i * users of j) + regularization).

        With a `user_power` each counts for their share of `user_shares`.
        """
        c, n = self.config, len(interactions.items)
        shares = user_shares(interactions, c.user_power)
        cells = (np.sqrt(shares), interactions.item_rows, interactions.indptr)
        matrix = sparse.csr_matrix(cells, (len(interactions.users), n))
        turned = matrix.T.tocsr()
        counts = np.bincount(interactions.item_rows, shares, n)
        root = np.sqrt(np.where(counts > 0, counts, 1)).astype(np.float32)
        keep = max(1, min(c.neighbours or n, n))
        columns = np.zeros((n, keep), np.int32)
        values = np.zeros((n, keep), np.float32)
        for start in range(0, n, BLOCK):
            rows = slice(start, min(start + BLOCK, n))
            shared = (turned[rows] @ matrix).toarray()
            shared /= root[rows, None] * root + np.float32(c.regularization)
            shared[np.arange(len(shared)), np.arange(rows.start, rows.stop)] = 0
            columns[rows], values[rows] = strongest(shared, keep)
            options.tell(rows.stop, n)
        counted = popularity(interactions)
        prior = counted / np.float32(max(counted.max(initial=0), 1e-9))
        return ItemKNN(c, interactions.items, Neighbours.packed(columns, values), prior)
