"""Fits the two towers: predict each next event from the content and the ids before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recommender.core.data import IdMap, Interactions
from recommender.core.models.base import Model, Params
from recommender.core.models.two_tower import TwoTower, TwoTowerConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.content import item_features
from recommender.core.training.debias import event_weights
from recommender.core.training.loop import Fitting, adamw, fit_epochs
from recommender.core.training.means import DecayedMeans, chosen
from recommender.core.training.sequences import CONTEXT, TARGETS, Segments, per_step
from recommender.core.training.softmax import CatalogueLoss

MOST_LABELS = 256
LABELS_ALONE = 0.1  # of the targets see the labels and no past, as a new user does


@dataclass(frozen=True)
class TwoTowerTrainer:
    name: ClassVar[str] = "two_tower"
    config: TwoTowerConfig = field(default_factory=TwoTowerConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """The epoch with the best validation NDCG@10, or the last one without validation."""
        c = self.config
        if interactions.times is None:
            c = replace(c, half_lives=(0.0,))
        fitting = _TwoTowerFitting(c, interactions, options)
        return fit_epochs(fitting, interactions, options, c.epochs, c.patience, repr(c))


class _TwoTowerFitting(Fitting[TwoTower]):
    def __init__(self, config: TwoTowerConfig, interactions: Interactions, options: FitOptions):
        self.config, self.interactions = config, interactions
        x, self.device = interactions, torch.device(options.device)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        n, f = len(x.items), config.factors
        features = item_features(x.table)
        if features is None:
            features = np.zeros((n, 0), np.float32)
        self.features = torch.from_numpy(features).to(self.device)
        self.cold = torch.from_numpy(x.item_counts == 0).to(self.device)
        self.labels, told = _labels(x)
        self.told = torch.from_numpy(told).to(self.device)
        width = self.features.shape[1]
        counts = x.item_counts
        frequency = np.log((counts + 1) / (counts.sum() + n)).astype(np.float32)
        usual = float(frequency[counts > 0].mean()) if (counts > 0).any() else 0.0

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=self.generator) * 0.1

        tensors = {
            "input_ids": drawn(n, f),
            "output_ids": drawn(n, f),
            "input_content": drawn(width, f),
            "output_content": drawn(width, f),
            "gates": torch.ones(len(config.half_lives), f) / len(config.half_lives),
            "label_vectors": drawn(len(self.labels), f),
            "bias_ids": torch.from_numpy(frequency - usual),
            "bias_content": torch.zeros(width),
            "bias": torch.full((1,), usual),
        }
        self.parameters = {k: t.to(self.device).requires_grad_() for k, t in tensors.items()}
        free = {"bias_ids", "bias", "gates"}
        self.optimizer = adamw(
            [p for k, p in self.parameters.items() if k not in free],
            [self.parameters[k] for k in sorted(free)],
            config.learning_rate,
            config.weight_decay,
        )
        self.segments = Segments(x, CONTEXT, TARGETS)
        self.means = DecayedMeans(config.half_lives, CONTEXT, TARGETS)
        self.over_catalogue = CatalogueLoss(
            counts, config.full_softmax_items, config.negatives, self.device
        )
        self.counted = event_weights(x, config.debias)

    def epoch(self) -> float:
        size = per_step(self.interactions, self.config.batch, TARGETS)
        return self.steps(self._loss(events) for events in self.segments.batches(self.rng, size))

    def model(self, found: Params) -> TwoTower:
        with torch.no_grad():
            tables = self._tables((~self.cold).float()[:, None])
        inputs, outputs, bias = (t.cpu().numpy().copy() for t in tables)
        p = self.parameters
        gates, vectors = (p[k].detach().cpu().numpy().copy() for k in ("gates", "label_vectors"))
        return TwoTower(
            self.config,
            self.interactions.items,
            inputs,
            gates,
            outputs,
            bias,
            self.labels,
            vectors,
            found,
        )

    def _tables(self, with_id: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, outputs and bias of every item; `with_id` [items, 1] is 0 for content alone."""
        p = self.parameters
        inputs = p["input_ids"] * with_id + self.features @ p["input_content"]
        outputs = p["output_ids"] * with_id + self.features @ p["output_content"]
        bias = p["bias"] + p["bias_ids"] * with_id[:, 0] + self.features @ p["bias_content"]
        return inputs, outputs, bias

    def _loss(self, events: NDArray[np.int64]) -> Tensor:
        x, n, c = self.interactions, len(self.interactions.items), self.config
        chance = torch.rand((n, 1), generator=self.generator).to(self.device)
        rate = c.id_dropout if self.features.shape[1] else 0.0
        inputs, outputs, bias = self._tables((chance >= rate).float())
        real = events >= 0
        shown = real & (self.rng.random(events.shape, np.float32) >= c.dropout)
        gated = inputs * self.parameters["gates"][:, None, :]  # [half-lives, items, factors]
        weights = np.where(shown, x.weights[events], np.float32(0))
        users = self.means(gated, x.item_rows[events], weights)
        if len(self.labels):
            first = torch.from_numpy(x.user_rows[events[:, CONTEXT]].astype(np.int64))
            known = self.told[first.to(self.device)] @ self.parameters["label_vectors"]
            alone = torch.rand(users.shape[:2], generator=self.generator).to(self.device)
            users = users * (alone >= LABELS_ALONE)[:, :, None]
            users = users + known[:, None, :]
        wanted = real[:, CONTEXT:]
        targets = events[:, CONTEXT:][wanted]
        each = None
        if self.counted is not None:
            each = torch.from_numpy(self.counted[targets]).to(self.device)
        rows = torch.from_numpy(x.item_rows[targets].astype(np.int64)).to(self.device)
        return self.over_catalogue(chosen(users, wanted), outputs, bias, rows, each, self.rng)


def _labels(x: Interactions) -> tuple[IdMap, NDArray[np.float32]]:
    """The commonest labels that people told, and [users, labels] rows that sum to 1 or 0."""
    told = x.people.labels if x.people else [()] * len(x.users)
    common = Counter(label for labels in told for label in set(labels)).most_common(MOST_LABELS)
    names = IdMap.from_ids(label for label, _ in common)
    shares = np.zeros((len(told), len(names)), np.float32)
    for user, labels in enumerate(told):
        rows = names.rows(sorted(set(labels)))
        rows = rows[rows >= 0]
        if len(rows):
            shares[user, rows] = 1 / len(rows)
    return names, shares
