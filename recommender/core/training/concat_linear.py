"""The published starting point: two embeddings, concatenated, one linear layer, MSE, Adam."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from recommender.core.data import Interactions
from recommender.core.models.base import Model, Params
from recommender.core.models.ratings import ConcatLinear, ConcatLinearConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.loop import Fitting, fit_epochs
from recommender.core.training.mf import rated, scale


@dataclass(frozen=True)
class ConcatLinearTrainer:
    name: ClassVar[str] = "concat_linear"
    config: ConcatLinearConfig = field(default_factory=ConcatLinearConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        c = self.config
        fitting = _ConcatFitting(c, interactions, options)
        # its ranking is the same for everybody, so there is nothing to stop early for
        untested = replace(options, held=None)
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
