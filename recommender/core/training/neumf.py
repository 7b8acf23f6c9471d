"""Fits NeuMF: tell each taken item from a few drawn at random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from recommender.core.data import Interactions
from recommender.core.models.base import Model, Params
from recommender.core.models.neumf import NeuMF, NeuMFConfig
from recommender.core.models.pasts import spans
from recommender.core.training.base import FitOptions
from recommender.core.training.debias import event_weights
from recommender.core.training.loop import Fitting, adamw, fit_epochs

MOST_PAST = 200  # items that make up a user in training, a fresh sample of a longer past


@dataclass(frozen=True)
class NeuMFTrainer:
    name: ClassVar[str] = "neumf"
    config: NeuMFConfig = field(default_factory=NeuMFConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """The epoch with the best validation NDCG@10, or the last one without validation."""
        c = self.config
        fitting = _NeuMFFitting(c, interactions, options)
        return fit_epochs(fitting, interactions, options, c.epochs, c.patience, repr(c))


class _NeuMFFitting(Fitting[NeuMF]):
    def __init__(self, config: NeuMFConfig, interactions: Interactions, options: FitOptions):
        self.config, self.interactions = config, interactions
        self.device = torch.device(options.device)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        n, f, h = len(interactions.items), config.factors, config.hidden
        counts = interactions.item_counts
        mean = counts.sum() / max(n, 1)

        def drawn(*shape: int, scale: float) -> Tensor:
            return torch.randn(shape, generator=self.generator) * scale

        tensors = {
            "past": drawn(n, 2 * f, scale=0.1),
            "product": drawn(n, f, scale=0.1),
            "network": drawn(n, f, scale=0.1),
            "first": drawn(2 * f, h, scale=(2 * f) ** -0.5),
            "first_bias": torch.zeros(h),
            "second": drawn(h, max(1, h // 2), scale=h**-0.5),
            "second_bias": torch.zeros(max(1, h // 2)),
            "last": drawn(f + max(1, h // 2), scale=0.3),
            "bias": torch.from_numpy(np.log((counts + 1) / (mean + 1)).astype(np.float32)),
        }
        self.parameters = {k: t.to(self.device).requires_grad_() for k, t in tensors.items()}
        free = {"bias", "first_bias", "second_bias"}
        self.optimizer = adamw(
            [p for k, p in self.parameters.items() if k not in free],
            [self.parameters[k] for k in sorted(free)],
            config.learning_rate,
            config.weight_decay,
        )
        self.counted = event_weights(interactions, config.debias)
        rate = config.negatives / max(n - 1, config.negatives)
        # sampling few negatives makes positives look too likely; the power takes that back
        self.power = rate * (config.calibration * (1 - 1 / rate) + 1 / rate)

    def epoch(self) -> float:
        return self.steps(self._loss(users) for users in self._batches())

    def model(self, found: Params) -> NeuMF:
        with torch.no_grad():
            p, f = self.parameters, self.config.factors
            tensors = {
                "past": p["past"],
                "product": p["product"] * p["last"][:f],
                "candidate": p["network"] @ p["first"][f:] + p["first_bias"],
                "first": p["first"][:f],
                "second": torch.cat([p["second"], p["second_bias"][None, :]]),
                "last": p["last"][f:],
                "bias": p["bias"],
            }
            arrays: dict[str, Any] = {k: np.array(t.cpu().numpy()) for k, t in tensors.items()}
        return NeuMF(self.config, self.interactions.items, found=found, **arrays)

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        """Users in a fresh order, as many at a time as fill a batch."""
        lengths = np.diff(self.interactions.indptr)
        users = self.rng.permutation(np.flatnonzero(lengths > 1))
        reached = np.cumsum(np.minimum(lengths[users], MOST_PAST))
        start = 0
        while start < len(users):
            before = reached[start - 1] if start else 0
            end = int(np.searchsorted(reached, before + self.config.batch, side="right"))
            yield users[start : max(end, start + 1)]
            start = max(end, start + 1)

    def _loss(self, users: NDArray[np.int64]) -> Tensor:
        """gBCE over every event of these users, the event itself left out of its user."""
        x, c = self.interactions, self.config
        events, owner = self._sampled(users)
        rows = torch.from_numpy(x.item_rows[events].astype(np.int64)).to(self.device)
        owners = torch.from_numpy(owner).to(self.device)
        weights = torch.from_numpy(x.weights[events]).to(self.device)
        past = self.parameters["past"][rows] * weights[:, None]
        zeros = past.new_zeros((len(users), past.shape[1]))
        others = zeros.index_add(0, owners, past)[owners] - past
        mass = past.new_zeros(len(users)).index_add(0, owners, weights)[owners] - weights
        count = torch.bincount(owners, minlength=len(users))[owners] - 1
        others = others * (count.clamp(min=0).sqrt() / mass.clamp(min=1e-6))[:, None]
        drawn = self.rng.integers(0, len(x.items), (len(events), c.negatives))
        tried = torch.cat([rows[:, None], torch.from_numpy(drawn).to(self.device)], 1)
        scores = self._scores(others, tried)
        loss = -self.power * functional.logsigmoid(scores[:, 0])
        loss = loss - functional.logsigmoid(-scores[:, 1:]).sum(1)
        if self.counted is not None:
            loss = loss * torch.from_numpy(self.counted[events]).to(self.device)
        return loss.mean()

    def _scores(self, users: Tensor, rows: Tensor) -> Tensor:
        """[pairs, tried] for users [pairs, 2 · factors] and item rows [pairs, tried]."""
        p, f = self.parameters, self.config.factors
        product = functional.embedding(rows, p["product"] * p["last"][:f])
        scores = (product * users[:, None, :f]).sum(2)
        candidate = functional.embedding(rows, p["network"] @ p["first"][f:] + p["first_bias"])
        hidden = torch.relu(candidate + (users[:, f:] @ p["first"][:f])[:, None, :])
        second = torch.relu(hidden @ p["second"] + p["second_bias"])
        return scores + second @ p["last"][f:] + p["bias"][rows]

    def _sampled(self, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Event numbers of these users and the place of each one's user, at most MOST_PAST each."""
        x = self.interactions
        events, owner = spans(x.indptr, users.astype(np.int32))
        order = np.lexsort((self.rng.random(len(events)), owner))
        lengths = np.bincount(owner, minlength=len(users))
        nth = np.arange(len(events)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        kept = order[nth < MOST_PAST]
        return events[kept], owner[kept]
