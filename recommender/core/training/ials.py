"""Implicit ALS by matrix-free conjugate gradient over length-sorted blocks.

Source of the method: Takács, Pilászy, Tikk 2011 (conjugate gradient for implicit ALS); the
blocks keep the work in a few large NumPy calls, and two Python threads share them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Int32, Interactions
from recommender.core.errors import TrainingDiverged
from recommender.core.models.base import Model
from recommender.core.models.ials import IALS, IALSConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.popular import popularity

BLOCK_ROWS = 16_384  # gathered factor rows a block: 4 MB at 64 factors, about one cache
THREADS = 2


@dataclass(frozen=True)
class Block:
    """Rows of similar length, padded with the row after the last (a zero row)."""

    rows: NDArray[np.int64]  # [b]
    columns: Int32  # [b, longest]
    confidence: Float32  # [b, longest], alpha * weight, 0 in the padding
    target: Float32  # [b, longest], 1 + confidence, 0 in the padding


@dataclass(frozen=True)
class IALSTrainer:
    name: ClassVar[str] = "ials"
    config: IALSConfig = field(default_factory=IALSConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """Alternate `iterations` times; the loss is not computed, divergence is."""
        c, n = self.config, len(interactions)
        rng = np.random.default_rng(options.seed)
        users, items = len(interactions.users), len(interactions.items)
        scale = 0.1 / np.sqrt(max(c.factors, 1))
        user_factors = _with_zero_row(rng.normal(0, scale, (users, c.factors)))
        item_factors = _with_zero_row(rng.normal(0, scale, (items, c.factors)))
        confidence = np.float32(c.alpha) * interactions.weights
        by_user = list(blocks(interactions.user_rows, interactions.item_rows, confidence, items))
        by_item = list(blocks(interactions.item_rows, interactions.user_rows, confidence, users))
        item_factors[:-1][interactions.item_counts == 0] = 0
        with ThreadPoolExecutor(THREADS) as pool:
            for done in range(c.iterations if n else 0):
                for solved, fixed, work in (
                    (user_factors, item_factors, by_user),
                    (item_factors, user_factors, by_item),
                ):
                    gram = self._gram(fixed)
                    tasks = [pool.submit(solve, b, solved, fixed, gram, c.cg_steps) for b in work]
                    for task in tasks:
                        task.result()
                if not np.isfinite(item_factors).all():
                    raise TrainingDiverged(f"ials: factors not finite after iteration {done + 1}")
                options.tell(done + 1, c.iterations)
        return IALS(
            c,
            interactions.items,
            item_factors[:-1].copy(),
            self._gram(item_factors),
            popularity(interactions),
        )

    def _gram(self, factors: Float32) -> Float32:
        ridge = np.float32(self.config.regularization) * np.eye(factors.shape[1], dtype=np.float32)
        return factors.T @ factors + ridge


def blocks(rows: Int32, columns: Int32, confidence: Float32, padding: int) -> Iterator[Block]:
    """Entries of a sparse matrix grouped by row, longest rows first, padded per block."""
    order = np.argsort(rows, kind="stable")
    columns, confidence = columns[order], confidence[order]
    counts = np.bincount(rows) if len(rows) else np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    by_length = np.argsort(-counts, kind="stable")
    by_length = by_length[: np.count_nonzero(counts)]
    at = 0
    while at < len(by_length):
        longest = int(counts[by_length[at]])
        chosen = by_length[at : at + max(1, BLOCK_ROWS // longest)]
        at += len(chosen)
        slots = np.arange(longest)
        inside = slots < counts[chosen][:, None]
        entries = np.where(inside, starts[chosen][:, None] + slots, 0)
        taken = np.where(inside, confidence[entries], np.float32(0))
        yield Block(
            chosen,
            np.where(inside, columns[entries], padding).astype(np.int32),
            taken,
            np.where(inside, 1 + taken, np.float32(0)),
        )


def solve(block: Block, solved: Float32, fixed: Float32, gram: Float32, steps: int) -> None:
    """A few conjugate gradient steps from where each row of `solved` stands, in place."""
    known = fixed[block.columns]  # [b, longest, factors]
    x = solved[block.rows]

    def left(v: Float32) -> Float32:
        inner: NDArray[Any] = np.matvec(known, v)
        inner *= block.confidence
        product: Float32 = v @ gram + np.vecmat(inner, known)
        return product

    residual = np.vecmat(block.target, known) - left(x)
    direction = residual.copy()
    length = np.vecdot(residual, residual)
    for _ in range(steps):
        moved = left(direction)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(length > 0, length / np.vecdot(direction, moved), 0)
        x += step[:, None] * direction
        residual -= step[:, None] * moved
        after = np.vecdot(residual, residual)
        with np.errstate(divide="ignore", invalid="ignore"):
            turn = np.where(length > 0, after / length, 0)
        direction = residual + turn[:, None] * direction
        length = after
    solved[block.rows] = x


def _with_zero_row(drawn: NDArray[np.float64]) -> Float32:
    """[n + 1, factors]: the drawn factors and the padding row."""
    return np.vstack([drawn, np.zeros((1, drawn.shape[1]))]).astype(np.float32)
