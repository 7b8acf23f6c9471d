"""Fits the history tower: predict each next event from the decayed means of those before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recommender.core.data import Interactions
from recommender.core.models.base import Model, Params
from recommender.core.models.tower import HistoryTower, TowerConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.debias import event_weights
from recommender.core.training.loop import Fitting, adamw, fit_epochs
from recommender.core.training.means import DecayedMeans, chosen
from recommender.core.training.sequences import CONTEXT, TARGETS, Segments, per_step
from recommender.core.training.softmax import CatalogueLoss

DECAY_STEPS = 100  # an epoch of fewer lowers the learning rate by less


@dataclass(frozen=True)
class TowerTrainer:
    name: ClassVar[str] = "history_tower"
    config: TowerConfig = field(default_factory=TowerConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """The epoch with the best validation NDCG@10, or the last one without validation."""
        config = self.config
        if interactions.times is None:
            config = replace(config, half_lives=(0.0,))
        fitting = TowerFitting(config, interactions, options)
        return fit_epochs(
            fitting, interactions, options, config.epochs, config.patience, repr(config)
        )


class TowerFitting(Fitting[HistoryTower]):
    """Parameters, one epoch of steps, and the NumPy model they stand for."""

    def __init__(self, config: TowerConfig, interactions: Interactions, options: FitOptions):
        self.config, self.interactions = config, interactions
        self.device = torch.device(options.device)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        n = len(interactions.items)
        shape = (len(config.half_lives), n, config.factors)
        inputs = torch.randn(shape, generator=self.generator) * 0.1
        outputs = torch.randn((n, config.factors), generator=self.generator) * 0.1
        counts = interactions.item_counts.astype(np.float32)
        bias = torch.from_numpy(np.log((counts + 1) / (counts.sum() + n)).astype(np.float32))
        self.parameters = {
            name: tensor.to(self.device).requires_grad_()
            for name, tensor in (("inputs", inputs), ("outputs", outputs), ("bias", bias))
        }
        self.optimizer = adamw(
            [self.parameters["inputs"], self.parameters["outputs"]],
            [self.parameters["bias"]],
            config.learning_rate,
            config.weight_decay,
        )
        self.segments = Segments(interactions, CONTEXT, TARGETS)
        self.per_step = per_step(interactions, config.batch, TARGETS)
        # where an epoch is only a few steps, many epochs must be worth it
        steps = len(self.segments) / self.per_step
        self.decay = config.decay ** min(1.0, steps / DECAY_STEPS)
        self.means = DecayedMeans(config.half_lives, CONTEXT, TARGETS)
        self.over_catalogue = CatalogueLoss(
            interactions.item_counts, config.full_softmax_items, config.negatives, self.device
        )
        self.counted = event_weights(interactions, config.debias)

    def epoch(self) -> float:
        """Mean loss of one pass over all targets, in a fresh order of ties and segments."""
        batches = self.segments.batches(self.rng, self.per_step)
        return self.steps(self._loss(events) for events in batches)

    def model(self, found: Params) -> HistoryTower:
        arrays = {name: p.detach().cpu().numpy().copy() for name, p in self.parameters.items()}
        inputs = arrays["inputs"].astype(np.float16)
        return HistoryTower(
            self.config,
            self.interactions.items,
            inputs,
            arrays["outputs"],
            arrays["bias"],
            found,
        )

    def _loss(self, events: NDArray[np.int64]) -> Tensor:
        x, p = self.interactions, self.parameters
        real = events >= 0
        rows = x.item_rows[events]
        shown = real & (self.rng.random(events.shape, np.float32) >= self.config.dropout)
        users = self.means(p["inputs"], rows, np.where(shown, x.weights[events], np.float32(0)))
        wanted = real[:, CONTEXT:]
        targets = events[:, CONTEXT:][wanted]
        weights = None
        if self.counted is not None:
            weights = torch.from_numpy(self.counted[targets]).to(self.device)
        return self.over_catalogue(
            chosen(users, wanted),
            p["outputs"],
            p["bias"],
            torch.from_numpy(x.item_rows[targets].astype(np.int64)).to(self.device),
            weights,
            self.rng,
        )
