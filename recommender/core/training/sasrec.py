"""Fits SASRec: at every place of a window predict the next item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recommender.core.data import Interactions
from recommender.core.models.base import Model, Params
from recommender.core.models.sasrec import EPSILON, SASRec, SASRecConfig, block_shapes
from recommender.core.training.base import FitOptions
from recommender.core.training.debias import event_weights
from recommender.core.training.loop import Fitting, adamw, fit_epochs
from recommender.core.training.means import chosen
from recommender.core.training.sequences import Segments, per_step
from recommender.core.training.softmax import CatalogueLoss


@dataclass(frozen=True)
class SASRecTrainer:
    name: ClassVar[str] = "sasrec"
    config: SASRecConfig = field(default_factory=SASRecConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """The epoch with the best validation NDCG@10, or the last one without validation."""
        c = self.config
        fitting = SASRecFitting(c, interactions, options)
        return fit_epochs(fitting, interactions, options, c.epochs, c.patience, repr(c))


class SASRecFitting(Fitting[SASRec]):
    longest_gradient = 5.0

    def __init__(self, config: SASRecConfig, interactions: Interactions, options: FitOptions):
        self.config, self.interactions = config, interactions
        self.device = torch.device(options.device)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        self.timed = interactions.times is not None
        n, f = len(interactions.items), config.factors
        vectors = torch.randn((n + 1, f), generator=self.generator) * f**-0.5
        vectors[n] = 0  # padding
        counts = interactions.item_counts
        drawn = {
            "vectors": vectors,
            "bias": torch.from_numpy(np.log((counts + 1) / (counts.sum() + n)).astype(np.float32)),
        }
        for name, shape in block_shapes(config).items():
            if len(shape) == 2:
                drawn[name] = torch.randn(shape, generator=self.generator) * f**-0.5
            else:
                plain = name.endswith(("attend", "feed", "last"))
                drawn[name] = torch.ones(shape) if plain else torch.zeros(shape)
        self.parameters = {k: t.to(self.device).requires_grad_() for k, t in drawn.items()}
        if not self.timed:
            for b in range(config.blocks):
                self.parameters[f"{b}.distance"].requires_grad_(False)
        decayed = [p for p in self.parameters.values() if p.ndim == 2]
        plain_ones = [p for p in self.parameters.values() if p.ndim == 1 and p.requires_grad]
        self.optimizer = adamw(decayed, plain_ones, config.learning_rate, config.weight_decay)
        self.over_catalogue = CatalogueLoss(
            counts, config.full_softmax_items, config.negatives, self.device
        )
        self.counted = event_weights(interactions, config.debias)
        self.half = max(1, config.length // 2)
        self.segments = Segments(interactions, self.half, self.half)

    def epoch(self) -> float:
        """Mean loss over all targets, each seen with at least half a window before it."""
        size = per_step(self.interactions, self.config.batch, self.half)
        return self.steps(self._loss(events) for events in self.segments.batches(self.rng, size))

    def model(self, found: Params) -> SASRec:
        arrays = {name: p.detach().cpu().numpy().copy() for name, p in self.parameters.items()}
        vectors, bias = arrays.pop("vectors")[:-1].copy(), arrays.pop("bias")
        return SASRec(self.config, self.interactions.items, vectors, bias, arrays, found)

    def _loss(self, events: np.ndarray) -> Tensor:
        n, x = len(self.interactions.items), self.interactions
        rows = np.where(events >= 0, x.item_rows[events], n).astype(np.int64)
        states = self.states(torch.from_numpy(rows[:, :-1]).to(self.device))[:, -self.half :]
        # with at least one item before
        real = (events[:, -self.half :] >= 0) & (events[:, -self.half - 1 : -1] >= 0)
        targets = events[:, -self.half :][real]
        weights = None
        if self.counted is not None:
            weights = torch.from_numpy(self.counted[targets]).to(self.device)
        wanted = torch.from_numpy(x.item_rows[targets].astype(np.int64)).to(self.device)
        p = self.parameters
        return self.over_catalogue(
            chosen(states, real), p["vectors"][:n], p["bias"], wanted, weights, self.rng
        )

    def states(self, rows: Tensor) -> Tensor:
        """[batch, length, factors], the same arithmetic as `SASRec._state`."""
        p, f, length = self.parameters, self.config.factors, rows.shape[1]
        places = torch.arange(length, device=self.device)
        away = places[:, None] - places[None, :]
        padding = rows == len(self.interactions.items)
        hidden = (away < 0)[None] | padding[:, None, :]
        hidden = hidden & (away != 0)[None]  # a padded place sees itself, and nobody sees it
        x = self._dropped(functional.embedding(rows, p["vectors"]) * f**0.5)
        for b in range(self.config.blocks):
            normed = self._normed(x, p[f"{b}.attend"])
            query, key, value = (normed @ p[f"{b}.{name}"] for name in ("query", "key", "value"))
            logits = query @ key.transpose(1, 2) / f**0.5 + p[f"{b}.distance"][away.clamp(min=0)]
            likely = torch.softmax(logits.masked_fill(hidden, -torch.inf), dim=2)
            x = x + self._dropped(likely @ value @ p[f"{b}.mix"])
            up = torch.relu(self._normed(x, p[f"{b}.feed"]) @ p[f"{b}.up"] + p[f"{b}.up_bias"])
            x = x + self._dropped(up @ p[f"{b}.down"])
        return self._normed(x, p["last"])

    def _normed(self, x: Tensor, scale: Tensor) -> Tensor:
        return functional.layer_norm(x, (x.shape[-1],), eps=float(EPSILON)) * scale

    def _dropped(self, x: Tensor) -> Tensor:
        rate = self.config.dropout
        if rate <= 0:
            return x
        kept = torch.rand(x.shape, generator=self.generator).to(self.device) >= rate
        return x * kept / (1 - min(rate, 0.99))
