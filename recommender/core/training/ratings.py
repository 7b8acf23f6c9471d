"""Rating models fitted by squared error on the events that carry a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from recommender.core.data import KIND_CODES, Float32, Interactions
from recommender.core.errors import TrainingDiverged
from recommender.core.models.base import Model, Params
from recommender.core.models.ratings import MF, ConcatLinear, ConcatLinearConfig, MFConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.ials import Block, blocks
from recommender.core.training.loop import Fitting, fit_epochs


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


@dataclass(frozen=True)
class ConcatLinearTrainer:
    name: ClassVar[str] = "concat_linear"
    config: ConcatLinearConfig = field(default_factory=ConcatLinearConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        c = self.config
        fitting = _ConcatFitting(c, interactions, options)
        # its ranking is the same for everybody, so there is nothing to stop early for
        untested = FitOptions(
            seed=options.seed,
            device=options.device,
            on_progress=options.on_progress,
            should_stop=options.should_stop,
            checkpoint_dir=options.checkpoint_dir,
        )
        return fit_epochs(fitting, interactions, untested, c.epochs, c.epochs, repr(c))


class _ConcatFitting(Fitting[ConcatLinear]):
    def __init__(self, config: ConcatLinearConfig, interactions: Interactions, options: FitOptions):
        self.config, self.interactions = config, interactions
        self.x = rated(interactions)
        self.mean = scale(self.x)
        self.device = torch.device(options.device)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        width = config.factors

        def drawn(*shape: int) -> torch.Tensor:
            return (torch.randn(shape, generator=self.generator) * 0.1).to(self.device)

        self.parameters = {
            "user_vectors": drawn(len(self.x.users), width).requires_grad_(),
            "item_vectors": drawn(len(self.x.items), width).requires_grad_(),
            "weights": drawn(2 * width).requires_grad_(),
            "bias": torch.full((1,), float(self.mean[0]), device=self.device).requires_grad_(),
        }
        self.optimizer = torch.optim.Adam(
            self.parameters.values(), config.learning_rate, weight_decay=config.weight_decay
        )

    def epoch(self) -> float:
        order = self.rng.permutation(len(self.x))
        losses = []
        for start in range(0, len(order), self.config.batch):
            chosen = order[start : start + self.config.batch]
            users, items = (
                torch.from_numpy(rows[chosen].astype(np.int64)).to(self.device)
                for rows in (self.x.user_rows, self.x.item_rows)
            )
            p = self.parameters
            pair = torch.cat([p["user_vectors"][users], p["item_vectors"][items]], dim=1)
            wanted = torch.from_numpy(self.x.values[chosen]).to(self.device)
            loss = torch.mean((pair @ p["weights"] + p["bias"] - wanted) ** 2)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses)) if losses else 0.0

    def model(self, found: Params) -> ConcatLinear:
        arrays: dict[str, NDArray[Any]] = {
            name: p.detach().cpu().numpy().copy() for name, p in self.parameters.items()
        }
        return ConcatLinear(
            self.config, self.interactions.items, mean=self.mean, found=found, **arrays
        )
