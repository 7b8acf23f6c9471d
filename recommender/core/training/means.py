"""Decayed means of item vectors before each target of a segment, and their gradient.

A mean is a sum over the past with constant weights, so nothing but the table of vectors needs
a gradient. What lies before a segment enters as one sum per half-life, taken at the segment's
start and decayed from there on; each vector of the segment itself is read once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recommender.core.data import Float32

Rows = NDArray[np.integer[Any]]
LEAST = 1e-6  # a weight below this share of the newest item's is nothing in single precision


class DecayedMeans:
    """Σ over half-lives of the mean of `table[half-life]` over the items before each target."""

    def __init__(self, half_lives: tuple[float, ...], context: int, targets: int):
        self.context, self.targets = context, targets
        kept = np.array([2 ** (-1 / h) if h > 0 else 1.0 for h in half_lives])[:, None]
        self.far = (kept ** np.arange(context - 1, -1, -1)).astype(np.float32)  # [h, context]
        self.carried = (kept ** np.arange(targets)).astype(np.float32)  # [h, targets]
        place = np.arange(targets)
        age = place[:, None] - place[None, :] - 1
        near = np.where(age >= 0, kept[:, :, None] ** np.maximum(age, 0), 0)
        self.near = near.astype(np.float32)  # [h, targets, targets]: target, slot before it

    def __call__(self, table: Tensor, rows: Rows, weights: Float32) -> Tensor:
        """[segments, targets, factors] for table [half-lives, items, factors].

        `rows` and `weights` [segments, context + targets] tell what stands in the slots; weight 0
        is nothing. A target without a past gets zeros.
        """
        shares = torch.from_numpy(self._shares(weights)).to(table.device)
        read = self._read(rows, weights, table.shape[1])
        means: Tensor = _Means.apply(table, shares, read)  # type: ignore[no-untyped-call]
        return means

    def _shares(self, weights: Float32) -> Float32:
        """[segments, targets, half-lives · (targets + 1)]: of each vector read in each mean."""
        before, own = weights[:, : self.context], weights[:, self.context :]
        mass = (before @ self.far.T)[:, :, None] * self.carried
        mass += np.einsum("hts,bs->bht", self.near, own, optimize=True)
        part = 1 / (mass + np.float32(1e-6))  # [segments, h, targets]
        half_lives, targets = self.carried.shape
        shares = np.empty((len(weights), targets, half_lives, targets + 1), np.float32)
        by_target = part.transpose(0, 2, 1)
        np.multiply(self.near.transpose(1, 0, 2), own[:, None, None, :], out=shares[..., :-1])
        shares[..., :-1] *= by_target[..., None]
        np.multiply(self.carried.T, by_target, out=shares[..., -1])
        return shares.reshape(len(weights), targets, -1)

    def _read(self, rows: Rows, weights: Float32, items: int) -> sparse.csr_matrix:
        """[segments · half-lives · (targets + 1), half-lives · items]: which vectors are read.

        For each half-life the items of the segment one by one, then the sum before it.
        """
        half_lives, count = len(self.far), len(rows)
        offsets = (np.arange(half_lives, dtype=np.int32) * items)[:, None]
        ordered = np.roll(rows, -self.context, axis=1).astype(np.int32)
        columns = ordered[:, None, :] + offsets  # [segments, h, targets + context]
        values = np.empty(columns.shape, np.float32)
        own = weights[:, self.context :]
        values[..., : self.targets] = (own > 0)[:, None, :]
        values[..., self.targets - 1] = 0  # nothing of the segment comes after it
        np.multiply(weights[:, None, : self.context], self.far, out=values[..., self.targets :])
        used = values > 0
        used[..., self.targets :] &= self.far > LEAST
        ends = np.empty((count, half_lives, self.targets + 1), np.int64)
        ends[..., :-1] = used[..., : self.targets]
        ends[..., -1] = used[..., self.targets :].sum(2)
        starts = np.zeros(ends.size + 1, np.int32)
        np.cumsum(ends.ravel(), out=starts[1:])
        shape = (ends.size, half_lives * items)
        return sparse.csr_matrix((values[used], columns[used], starts), shape)


class _Means(torch.autograd.Function):
    """shares @ (read @ table): SciPy reads, torch multiplies."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, shares: Tensor, read: sparse.csr_matrix) -> Tensor:
        flat = table.detach().cpu().numpy().reshape(read.shape[1], -1)
        vectors = torch.from_numpy(read @ flat).to(table.device)
        ctx.shares, ctx.read, ctx.shape = shares, read, table.shape
        return torch.bmm(shares, vectors.view(len(shares), shares.shape[2], -1))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        vectors = torch.bmm(ctx.shares.transpose(1, 2), gradient)
        flat = vectors.view(ctx.read.shape[0], -1).cpu().numpy()
        table = torch.from_numpy(ctx.read.T @ flat).to(gradient.device)
        return table.view(ctx.shape), None, None


class _Chosen(torch.autograd.Function):
    """Rows of a matrix, each at most once: the gradient is copied back, not summed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.rows = len(x)
        return x.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        spread = gradient.new_zeros((ctx.rows, gradient.shape[1]))
        return spread.index_copy_(0, places, gradient), None


def chosen(x: Tensor, kept: NDArray[np.bool_]) -> Tensor:
    """x [..., factors] where `kept` holds, as rows: `x[kept]` with a cheaper gradient."""
    places = torch.from_numpy(np.flatnonzero(kept)).to(x.device)
    rows: Tensor = _Chosen.apply(x.reshape(-1, x.shape[-1]), places)  # type: ignore[no-untyped-call]
    return rows
