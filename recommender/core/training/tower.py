"""Fits the history tower: predict each next event from the decayed means of those before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recommender.core.data import Interactions
from recommender.core.models.base import Model, Params
from recommender.core.models.tower import HistoryTower, TowerConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.loop import Fitting, fit_epochs
from recommender.core.training.softmax import full_cross_entropy, sampled_cross_entropy

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
        self.decays = torch.stack([decay_band(h) for h in config.half_lives]).to(self.device)
        self.sampled = n > max(config.full_softmax_items, config.negatives)
        self.popularity = (counts + 1) ** 0.75
        self.popularity /= self.popularity.sum()

    def epoch(self) -> float:
        """Mean loss of one pass over all targets, in a fresh order of ties and segments."""
        rows, weights = self._segments()
        order = self.rng.permutation(len(rows))
        per_step = max(1, self.config.batch // TARGETS)
        losses = []
        for start in range(0, len(order), per_step):
            chosen = order[start : start + per_step]
            loss = self._loss(
                torch.from_numpy(rows[chosen]).to(self.device),
                torch.from_numpy(weights[chosen]).to(self.device),
            )
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

    def _segments(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Item rows and weights [segments, CONTEXT + TARGETS], padded at the left and right."""
        x, n = self.interactions, len(self.interactions.items)
        times = np.zeros(len(x)) if x.times is None else x.times
        order = np.lexsort((self.rng.random(len(x)), times, x.user_rows))
        lengths = np.diff(x.indptr)
        pieces = -(-np.maximum(lengths - 1, 0) // TARGETS)  # the first event is no target
        users = np.repeat(np.arange(len(lengths)), pieces)
        nth = np.arange(len(users)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        first = x.indptr[users] + 1 + nth * TARGETS - CONTEXT
        slots = first[:, None] + np.arange(CONTEXT + TARGETS)
        inside = (slots >= x.indptr[users][:, None]) & (slots < x.indptr[users + 1][:, None])
        places = order[np.where(inside, slots, 0)] if len(x) else np.zeros_like(slots)
        rows = np.where(inside, x.item_rows[places], n).astype(np.int64)
        return rows, np.where(inside, x.weights[places], 0).astype(np.float32)

    def _loss(self, rows: Tensor, weights: Tensor) -> Tensor:
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
        outputs, bias = self.parameters["outputs"], self.parameters["bias"]
        if not self.sampled:
            return full_cross_entropy(flat, outputs, bias, targets[real])
        drawn = self.rng.choice(n, self.config.negatives, p=self.popularity)
        expected = np.log(self.popularity * self.config.negatives).astype(np.float32)
        return sampled_cross_entropy(
            flat,
            outputs,
            bias,
            targets[real],
            torch.from_numpy(drawn).to(self.device),
            torch.from_numpy(expected).to(self.device),
        )


def decay_band(half_life: float) -> Tensor:
    """[TARGETS, CONTEXT + TARGETS]: the weight of each slot before each target, 0 after it."""
    target = torch.arange(TARGETS)[:, None] + CONTEXT
    age = target - 1 - torch.arange(CONTEXT + TARGETS)[None, :]
    weight = torch.exp2(-age / half_life) if half_life > 0 else torch.ones(age.shape)
    return torch.where(age >= 0, weight, torch.zeros(()))
