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
from recommender.core.training.neighbours import strongest
from recommender.core.training.popular import popularity

BLOCK = 512  # items whose neighbours are counted at once


@dataclass(frozen=True)
class ItemKNNTrainer:
    name: ClassVar[str] = "item_knn"
    config: ItemKNNConfig = field(default_factory=ItemKNNConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """cos(i, j) = users of both / (sqrt(users of i * users of j) + regularization)."""
        c, n = self.config, len(interactions.items)
        ones = np.ones(len(interactions), np.float32)
        matrix = sparse.csr_matrix((ones, interactions.item_rows, interactions.indptr),
                                   (len(interactions.users), n))  # fmt: skip
        turned = matrix.T.tocsr()
        root = np.sqrt(np.maximum(interactions.item_counts, 1)).astype(np.float32)
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
