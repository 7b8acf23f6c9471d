"""Biased matrix factorization by Gibbs sampling on the events with a value.

Bayesian PMF (Salakhutdinov, Mnih 2008) with its hyperpriors reduced to one precision a factor,
set each round from the factors as they stand. The mean over many plausible factorizations beats
the single best one: nothing is tuned to one data set and few factors suffice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from recommender.core.data import KIND_CODES, Float32, Float64, Interactions
from recommender.core.errors import TrainingDiverged, sentence
from recommender.core.models.base import Model
from recommender.core.models.ratings import MF, MFConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.ials import Block, both_sides

MOST_NUMBERS = 100_000_000  # in the stored vectors: 400 MB
LEAST_NOISE = 1e-3  # variance; ratings without any noise would freeze the chain
LEAST_SPREAD = 1e-3
TOLD_EVERY = 10


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
    """Ridge regressions in turn, each drawn from its posterior; a bias is the first factor."""

    name: ClassVar[str] = "mf"
    config: MFConfig = field(default_factory=MFConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """The mean of the rounds kept after `burn_in`, as one long vector a user and an item."""
        c, x = self.config, rated(interactions)
        chain = _Chain(c, x, np.random.default_rng(options.seed))
        rounds = max(c.iterations, 1) if len(x) else 0
        burn_in = min(c.burn_in, rounds - 1)
        room = max(1, MOST_NUMBERS // max(1, (len(x.users) + len(x.items)) * c.factors))
        every = max(1, -(-(rounds - burn_in) // min(c.samples, room)))
        kept: list[tuple[Float32, Float32]] = []
        for done in range(rounds):
            chain.turn()
            if (rounds - 1 - done) % every == 0 and done >= burn_in:
                kept.append((chain.users[:-1].copy(), chain.items[:-1].copy()))
            if done % TOLD_EVERY == 0 or done + 1 == rounds:
                options.tell(done + 1, rounds)
        kept = kept or [(chain.users[:-1], chain.items[:-1])]
        users, items = (side_by_side([pair[side] for pair in kept]) for side in (0, 1))
        return MF(c, interactions.items, scale(x), users, items)


class _Chain:
    """Vectors of users and items, the bias first; the last row is padding and stays zero."""

    def __init__(self, config: MFConfig, x: Interactions, rng: np.random.Generator):
        self.config, self.x, self.rng = config, x, rng
        shapes = (len(x.users), len(x.items))
        self.users, self.items = (
            np.hstack([np.zeros((n + 1, 1)), rng.normal(0, 0.1, (n + 1, config.factors))]).astype(
                np.float32
            )
            for n in shapes
        )
        for vectors, counts in ((self.users, np.diff(x.indptr)), (self.items, x.item_counts)):
            vectors[:-1][counts == 0] = 0
            vectors[-1] = 0
        self.centred = x.values - scale(x)[0]
        self.by_item, self.by_user = both_sides(x, self.centred)
        # of the noise in a rating, and per side of each factor, in units of that noise
        self.noise = float(np.var(self.centred, dtype=np.float64)) if len(x) else 0.0
        start = np.full(config.factors + 1, config.regularization)
        start[0] = config.bias_regularization
        self.ridges = [start, start]

    def turn(self) -> None:
        """Draw all users given the items, all items given the users, then the precisions."""
        sides = ((self.users, self.items, self.by_user), (self.items, self.users, self.by_item))
        self.noise = max(self.noise, LEAST_NOISE)
        for side, (drawn, fixed, work) in enumerate(sides):
            for block in work:
                self._draw(block, drawn, fixed, self.ridges[side])
            if not np.isfinite(drawn).all():
                raise TrainingDiverged(sentence("%(model)s: factors are not finite", model="mf"))
            seen = np.concatenate([block.rows for block in work])
            spread = np.mean(drawn[seen].astype(np.float64) ** 2, axis=0)
            self.ridges[side] = self.noise / np.maximum(spread, LEAST_SPREAD)
        users, items = self.users[self.x.user_rows], self.items[self.x.item_rows]
        error = self.centred - users[:, 0] - items[:, 0] - np.vecdot(users[:, 1:], items[:, 1:])
        self.noise = float(np.mean(error.astype(np.float64) ** 2))

    def _draw(self, block: Block, drawn: Float32, fixed: Float32, ridge: Float64) -> None:
        """The block's rows from their posterior given the other side, in place."""
        known = fixed[block.columns]  # [b, longest, 1 + factors]
        real = (block.columns != len(fixed) - 1).astype(np.float32)
        target = np.where(real > 0, block.confidence - known[:, :, 0], np.float32(0))
        known[:, :, 0] = real
        left = known.transpose(0, 2, 1) @ known + np.diag(ridge.astype(np.float32))
        try:
            root = np.linalg.cholesky(left)
        except np.linalg.LinAlgError as why:
            raise TrainingDiverged(sentence("mf: %(why)s", why=str(why))) from why
        right = np.vecmat(target, known)
        drawn_noise = self.rng.standard_normal(right.shape, np.float32)
        drawn_noise *= np.float32(np.sqrt(self.noise))
        half = np.linalg.solve(root, right[:, :, None])[:, :, 0] + drawn_noise
        drawn[block.rows] = np.linalg.solve(root.transpose(0, 2, 1), half[:, :, None])[:, :, 0]


def side_by_side(samples: list[Float32]) -> Float32:
    """[rows, 1 + samples · factors]: the mean bias, and factors whose dot product is the mean."""
    bias = np.mean([sample[:, :1] for sample in samples], axis=0)
    scaled = [sample[:, 1:] / np.float32(np.sqrt(len(samples))) for sample in samples]
    return np.hstack([bias, *scaled]).astype(np.float32)
