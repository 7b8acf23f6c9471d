"""Biased matrix factorization by alternating ridge regressions on the events with a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from recommender.core.data import KIND_CODES, Float32, Interactions
from recommender.core.errors import TrainingDiverged
from recommender.core.models.base import Model
from recommender.core.models.ratings import MF, MFConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.ials import Block, blocks


def rated(interactions: Interactions) -> Interactions:
    """The events to learn ratings from: those of kind `rating`, else all that carry a value."""
    valued = ~np.isnan(interactions.values)
    stars = valued & (interactions.kinds == KIND_CODES["rating"])
    return interactions.take(stars if stars.any() else valued)


def scale(ratings: Interactions) -> Float32:
    """[3]: mean, lowest and highest value; zeros without any."""
    if not len(ratings):
        return np.zeros(3, np.float32)
    values = ratings.values
    return np.array([values.mean(dtype=np.float64), values.min(), values.max()], np.float32)


@dataclass(frozen=True)
class MFTrainer:
    """Alternating ridge regressions; a bias is the first factor, its partner a constant one."""

    name: ClassVar[str] = "mf"
    config: MFConfig = field(default_factory=MFConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        c, x = self.config, rated(interactions)
        mean = scale(x)
        rng = np.random.default_rng(options.seed)
        shapes = (len(x.users), len(x.items))
        users, items = (
            np.hstack([np.zeros((n + 1, 1)), rng.normal(0, 0.1, (n + 1, c.factors))]).astype(
                np.float32
            )
            for n in shapes
        )
        for vectors, counts in ((users, np.diff(x.indptr)), (items, x.item_counts)):
            vectors[:-1][counts == 0] = 0
            vectors[-1] = 0
        centred = x.values - mean[0]
        by_user = list(blocks(x.user_rows, x.item_rows, centred, shapes[1]))
        by_item = list(blocks(x.item_rows, x.user_rows, centred, shapes[0]))
        for done in range(c.iterations if len(x) else 0):
            for block in by_user:
                self._solve(block, users, items, shapes[1])
            for block in by_item:
                self._solve(block, items, users, shapes[0])
            if not (np.isfinite(users).all() and np.isfinite(items).all()):
                raise TrainingDiverged(f"mf: factors not finite after iteration {done + 1}")
            options.tell(done + 1, c.iterations)
        return MF(c, interactions.items, mean, users[:-1].copy(), items[:-1].copy())

    def _solve(self, block: Block, solved: Float32, fixed: Float32, padding: int) -> None:
        """Exact ridge solution of the block's rows given the other side, in place."""
        known = fixed[block.columns]  # [b, longest, 1 + factors]
        real = (block.columns != padding).astype(np.float32)
        target = np.where(real > 0, block.confidence - known[:, :, 0], np.float32(0))
        known[:, :, 0] = real
        left = known.transpose(0, 2, 1) @ known
        ridge = np.full(known.shape[2], self.config.regularization + 1e-6, np.float32)
        ridge[0] = self.config.bias_regularization + 1e-6
        left += np.diag(ridge)
        right = np.vecmat(target, known)
        solved[block.rows] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
