"""Fits LightGCN: smooth the item vectors over the graph, then pick each taken item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recommender.core.data import Float32, Interactions
from recommender.core.models.base import Model, Params
from recommender.core.models.lightgcn import LightGCN, LightGCNConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.debias import event_weights
from recommender.core.training.loop import Fitting, adamw, fit_epochs
from recommender.core.training.softmax import CatalogueLoss

MOST_STEPS = 100  # an epoch


@dataclass(frozen=True)
class LightGCNTrainer:
    name: ClassVar[str] = "lightgcn"
    config: LightGCNConfig = field(default_factory=LightGCNConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """The epoch with the best validation NDCG@10, or the last one without validation."""
        c = self.config
        fitting = LightGCNFitting(c, interactions, options)
        return fit_epochs(fitting, interactions, options, c.epochs, c.patience, repr(c))


class LightGCNFitting(Fitting[LightGCN]):
    def __init__(self, config: LightGCNConfig, interactions: Interactions, options: FitOptions):
        self.config, self.interactions = config, interactions
        x, self.device = interactions, torch.device(options.device)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        n = len(x.items)
        counts = x.item_counts
        self.inward = _root(np.bincount(x.item_rows, x.weights, n))
        self.outward = _root(np.bincount(x.user_rows, x.weights, len(x.users)))
        self.graph = _graph(x, self.outward, self.inward)
        self.back = self.graph.T.tocsr()
        vectors = torch.randn((n, config.factors), generator=self.generator) * 0.1
        bias = torch.from_numpy(np.log((counts + 1) / (counts.sum() + n)).astype(np.float32))
        self.parameters = {
            "vectors": vectors.to(self.device).requires_grad_(),
            "bias": bias.to(self.device).requires_grad_(),
        }
        self.optimizer = adamw(
            [self.parameters["vectors"]],
            [self.parameters["bias"]],
            config.learning_rate,
            config.weight_decay,
        )
        self.over_catalogue = CatalogueLoss(
            counts, config.full_softmax_items, config.negatives, self.device
        )
        self.counted = event_weights(x, config.debias)

    def epoch(self) -> float:
        order = self.rng.permutation(len(self.interactions))
        # each step smooths the whole graph
        batch = max(self.config.batch, len(order) // MOST_STEPS)
        starts = range(0, len(order), batch)
        return self.steps(self._loss(order[start : start + batch]) for start in starts)

    def model(self, found: Params) -> LightGCN:
        with torch.no_grad():
            vectors = self._smoothed().cpu().numpy().copy()
        bias = self.parameters["bias"].detach().cpu().numpy().copy()
        return LightGCN(self.config, self.interactions.items, vectors, self.inward, bias, found)

    def _to_users(self, items: Tensor) -> Tensor:
        users: Tensor = _Propagated.apply(items, self.graph, self.back)  # type: ignore[no-untyped-call]
        return users

    def _to_items(self, users: Tensor) -> Tensor:
        items: Tensor = _Propagated.apply(users, self.back, self.graph)  # type: ignore[no-untyped-call]
        return items

    def _smoothed(self) -> Tensor:
        """[items, factors]: the mean over 0 to `layers` trips to the takers and back."""
        layer = total = self.parameters["vectors"]
        for _ in range(self.config.layers):
            layer = self._to_items(self._to_users(layer))
            total = total + layer
        return total / (self.config.layers + 1)

    def _loss(self, events: np.ndarray) -> Tensor:
        """Softmax over the items for users who have not taken the wanted one yet."""
        x, smoothed = self.interactions, self._smoothed()
        wanted = torch.from_numpy(x.item_rows[events].astype(np.int64)).to(self.device)
        users = torch.from_numpy(x.user_rows[events].astype(np.int64)).to(self.device)
        scale = self.outward[x.user_rows[events]] * self.inward[x.item_rows[events]]
        own = torch.from_numpy(scale * x.weights[events]).to(self.device)
        others = self._to_users(smoothed)[users] - own[:, None] * smoothed[wanted]
        weights = None
        if self.counted is not None:
            weights = torch.from_numpy(self.counted[events]).to(self.device)
        bias = self.parameters["bias"]
        return self.over_catalogue(others, smoothed, bias, wanted, weights, self.rng)


class _Propagated(torch.autograd.Function):
    """graph @ x for a sparse constant graph; its gradient is graphᵀ @ gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, graph: sparse.csr_matrix, back: sparse.csr_matrix) -> Tensor:
        ctx.back = back
        return _product(graph, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _product(ctx.back, gradient), None, None


def _product(graph: sparse.csr_matrix, x: Tensor) -> Tensor:
    # SciPy: torch's own sparse product is tens of times slower backwards on a CPU
    return torch.from_numpy(graph @ x.detach().cpu().numpy()).to(x.device)


def _root(degrees: NDArray[Any]) -> Float32:
    """1 / sqrt of the summed weights: no weight, however large, makes a cell larger than 1."""
    root: Float32 = (1 / np.sqrt(np.maximum(degrees, 1))).astype(np.float32)
    return root


def _graph(x: Interactions, outward: Float32, inward: Float32) -> sparse.csr_matrix:
    """[users, items], weight / sqrt(weights of the user · weights of the item)."""
    values = x.weights * outward[x.user_rows] * inward[x.item_rows]
    shape = (len(x.users), len(x.items))
    return sparse.csr_matrix((values, (x.user_rows, x.item_rows)), shape, dtype=np.float32)
