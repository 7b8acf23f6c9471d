"""Fits the history tower: predict each next event from the decayed means of those before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from recommender.core.data import Interactions
from recommender.core.models.base import Model, Params
from recommender.core.models.tower import HistoryTower, TowerConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.debias import event_weights
from recommender.core.training.loop import Fitting, fit_epochs
from recommender.core.training.sequences import decay_band, segments
from recommender.core.training.softmax import CatalogueLoss

TARGETS = 32  # targets a segment
CONTEXT = 48  # past items that a target sees at most, plus those of its own segment


@dataclass(frozen=True)
class TowerTrainer:
    name: ClassVar[str] = "history_tower"
    config: TowerConfig = field(default_factory=TowerConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """The epoch with the best validation NDCG@10, or the last one without validation."""
        config = self.config
        if interactions.times is None:
            config = replace(config, half_lives=(0.0,))
        fitting = _TowerFitting(config, interactions, options)
        return fit_epochs(
            fitting, interactions, options, config.epochs, config.patience, repr(config)
        )


class _TowerFitting(Fitting[HistoryTower]):
    """Parameters, one epoch of steps, and the NumPy model they stand for."""

    def __init__(self, config: TowerConfig, interactions: Interactions, options: FitOptions):
        self.config, self.interactions = config, interactions
        self.device = torch.device(options.device)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        n = len(interactions.items)
        shape = (len(config.half_lives), n + 1, config.factors)  # the last row is padding
        inputs = torch.randn(shape, generator=self.generator) * 0.1
        inputs[:, n] = 0
        outputs = torch.randn((n, config.factors), generator=self.generator) * 0.1
        counts = interactions.item_counts.astype(np.float32)
        bias = torch.from_numpy(np.log((counts + 1) / (counts.sum() + n)).astype(np.float32))
        self.parameters = {
            name: tensor.to(self.device).requires_grad_()
            for name, tensor in (("inputs", inputs), ("outputs", outputs), ("bias", bias))
        }
        groups: list[dict[str, Any]] = [
            {"params": [self.parameters["inputs"], self.parameters["outputs"]]},
            {"params": [self.parameters["bias"]], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        bands = [decay_band(h, CONTEXT, TARGETS) for h in config.half_lives]
        self.decays = torch.stack(bands).to(self.device)
        self.over_catalogue = CatalogueLoss(
            interactions.item_counts, config.full_softmax_items, config.negatives
        )
        self.counted = event_weights(interactions, config.debias)

    def epoch(self) -> float:
        """Mean loss of one pass over all targets, in a fresh order of ties and segments."""
        losses = []
        for rows, weights, counted in self._batches():
            loss = self._loss(rows, weights, counted)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses)) if losses else 0.0

    def model(self, found: Params) -> HistoryTower:
        arrays = {name: p.detach().cpu().numpy().copy() for name, p in self.parameters.items()}
        n = len(self.interactions.items)
        inputs = np.ascontiguousarray(arrays["inputs"][:, :n]).astype(np.float16)
        return HistoryTower(
            self.config,
            self.interactions.items,
            inputs,
            arrays["outputs"],
            arrays["bias"],
            found,
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Item rows, weights of the past and of the targets, a step of segments at a time."""
        x, n = self.interactions, len(self.interactions.items)
        events = segments(x, self.rng, CONTEXT, TARGETS)
        order = self.rng.permutation(len(events))
        per_step = max(1, self.config.batch // TARGETS)
        for start in range(0, len(order), per_step):
            chosen = events[order[start : start + per_step]]
            real = chosen >= 0
            rows = np.where(real, x.item_rows[chosen], n).astype(np.int64)
            weights = np.where(real, x.weights[chosen], np.float32(0))
            counted = None
            if self.counted is not None:
                counted = torch.from_numpy(self.counted[chosen[:, CONTEXT:]]).to(self.device)
            yield (
                torch.from_numpy(rows).to(self.device),
                torch.from_numpy(weights).to(self.device),
                counted,
            )

    def _loss(self, rows: Tensor, weights: Tensor, counted: Tensor | None) -> Tensor:
        n = len(self.interactions.items)
        kept = torch.rand(rows.shape, generator=self.generator).to(self.device)
        shown = weights * (kept >= self.config.dropout)
        users: Tensor | float = 0.0
        for vectors, decay in zip(self.parameters["inputs"], self.decays, strict=True):
            summed = decay @ (vectors[rows] * shown[:, :, None])  # [b, TARGETS, factors]
            total = shown @ decay.T  # [b, TARGETS]
            users = users + summed / (total[:, :, None] + 1e-6)
        targets = rows[:, CONTEXT:].reshape(-1)
        real = targets < n
        flat = torch.as_tensor(users).reshape(len(targets), -1)[real]
        each = None if counted is None else counted.reshape(-1)[real]
        outputs, bias = self.parameters["outputs"], self.parameters["bias"]
        return self.over_catalogue(flat, outputs, bias, targets[real], each, self.rng)
