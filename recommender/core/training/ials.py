"""Implicit ALS by matrix-free conjugate gradient over length-sorted blocks.

Source of the method: Takács, Pilászy, Tikk 2011 (conjugate gradient for implicit ALS); the
blocks keep the work in a few large NumPy calls, and two Python threads share them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.core.data import Float32, Int32, Interactions
from recommender.core.errors import TrainingDiverged, sentence
from recommender.core.models.base import Model
from recommender.core.models.ials import IALS, IALSConfig
from recommender.core.threads import one_blas_thread
from recommender.core.training.base import FitOptions
from recommender.core.training.popular import popularity

BLOCK_ROWS = 16_384  # gathered factor rows a block: 4 MB at 64 factors, about one cache
OWN_ROWS = 8  # what a row's own vectors add to that: many short rows fill a cache too
THREADS = 2
LEAST = np.float32(1e-30)  # divisor of a row that has nothing left to solve


@dataclass(frozen=True)
class Block:
    """Rows of similar length, padded with the number of the fixed side's last row, which is 0."""

    rows: NDArray[np.int64]  # [b]
    columns: Int32  # [b, longest]
    confidence: Float32  # [b, longest], alpha * weight; [1, 1] where all are the same


@dataclass(frozen=True)
class IALSTrainer:
    name: ClassVar[str] = "ials"
    config: IALSConfig = field(default_factory=IALSConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """Alternate `iterations` times; the loss is not computed, divergence is."""
        c, x = self.config, interactions
        rng = np.random.default_rng(options.seed)
        users = _drawn(rng, np.diff(x.indptr), c.factors)
        items = _drawn(rng, x.item_counts, c.factors)
        by_item, by_user = both_sides(x, np.float32(c.alpha) * x.weights)
        further = _further_ridges(x.item_counts, c) if c.item_power else None
        # BLAS threads of its own would wait for each other inside ours, and burn what they wait
        with one_blas_thread(), ThreadPoolExecutor(THREADS) as pool:
            for done in range(c.iterations if len(x) else 0):
                self._half(pool, by_user, users, items)
                self._half(pool, by_item, items, users, further)
                if not np.isfinite(items).all():
                    raise TrainingDiverged(
                        sentence("ials: factors not finite after iteration %(n)s", n=done + 1)
                    )
                options.tell(done + 1, c.iterations)
            gram = self._gram(items)
        return IALS(c, x.items, items[:-1].copy(), gram, popularity(x))

    def _half(
        self,
        pool: Executor,
        work: list[Block],
        solved: Float32,
        fixed: Float32,
        further: Float32 | None = None,
    ) -> None:
        """Solve every row of one side given the other, in place."""
        gram, left = self._gram(fixed), deque(work)

        def some() -> None:
            scratch = np.empty((BLOCK_ROWS, self.config.factors), np.float32)
            while True:
                try:
                    block = left.popleft()
                except IndexError:
                    return
                solve(block, solved, fixed, gram, self.config.cg_steps, scratch, further)

        for task in [pool.submit(some) for _ in range(THREADS)]:
            task.result()

    def _gram(self, factors: Float32) -> Float32:
        ridge = np.float32(self.config.regularization) * np.eye(factors.shape[1], dtype=np.float32)
        return factors.T @ factors + ridge


def _further_ridges(counts: NDArray[np.int64], config: IALSConfig) -> Float32:
    """[items]: what each item's ridge has beyond the common one; less than 0 for rare ones."""
    shares = np.maximum(counts, 1) / max(float(counts.mean()), 1e-9)
    return (config.regularization * (shares**config.item_power - 1)).astype(np.float32)


def _drawn(rng: np.random.Generator, counts: NDArray[np.int64], factors: int) -> Float32:
    """[rows + 1, factors]: small random vectors, zeros for rows without entries and the last."""
    drawn = rng.standard_normal((len(counts) + 1, factors), np.float32)
    drawn *= np.float32(0.1 / np.sqrt(max(factors, 1)))
    drawn[np.append(counts == 0, True)] = 0
    return drawn


def both_sides(x: Interactions, confidence: Float32) -> tuple[list[Block], list[Block]]:
    """Blocks by item and by user; the matrix turned over lives no longer than needed."""
    equal = len(confidence) > 0 and bool((confidence == confidence[0]).all())
    same = confidence[:1, None] if equal else None
    shape = (len(x.users), len(x.items))
    turned = sparse.csr_matrix((confidence, x.item_rows, x.indptr), shape).tocsc()
    by_item = list(blocks(turned.indptr, turned.indices, turned.data, shape[0], same))
    del turned
    return by_item, list(blocks(x.indptr, x.item_rows, confidence, shape[1], same))


def blocks(
    starts: NDArray[np.integer[Any]],
    columns: Int32,
    confidence: Float32,
    padding: int,
    same: Float32 | None = None,
) -> Iterator[Block]:
    """Rows [starts[r], starts[r + 1]) of a sparse matrix, longest first, padded per block.

    `same` [1, 1] stands for all confidences where they are equal.
    """
    counts = np.diff(starts)
    by_length = np.argsort(-counts, kind="stable")
    by_length = by_length[: np.count_nonzero(counts)]
    at = 0
    while at < len(by_length):
        longest = int(counts[by_length[at]])
        chosen = by_length[at : at + max(1, BLOCK_ROWS // (longest + OWN_ROWS))]
        at += len(chosen)
        slots = np.arange(longest)
        inside = slots < counts[chosen][:, None]
        entries = np.where(inside, starts[chosen][:, None] + slots, 0)
        yield Block(
            chosen,
            np.where(inside, columns[entries], np.int32(padding)),
            confidence[entries] if same is None else same,  # the padding's meets a zero row
        )


def solve(
    block: Block,
    solved: Float32,
    fixed: Float32,
    gram: Float32,
    steps: int,
    scratch: Float32,
    further: Float32 | None = None,
) -> None:
    """A few conjugate gradient steps from where each row of `solved` stands, in place.

    `scratch` [BLOCK_ROWS, factors] holds the gathered rows of `fixed`; `further` [rows] is added
    to the ridge that `gram` has.
    """
    x = solved[block.rows]
    ridge = None if further is None else further[block.rows, None]
    if block.columns.shape[1] > len(scratch):
        whole, right = _normal_equations(block, fixed, gram, scratch)
        if ridge is not None:
            whole += ridge * np.eye(len(whole), dtype=np.float32)
        _descend(x, right - x @ whole, lambda v: v @ whole, steps)
    else:
        known = _gathered(fixed, block.columns, scratch)
        seen = np.matvec(known, x)
        seen *= -block.confidence
        seen += 1 + block.confidence

        def left(v: Float32) -> Float32:
            inner = np.matvec(known, v)
            inner *= block.confidence
            product: Float32 = v @ gram
            product += np.vecmat(inner, known)
            if ridge is not None:
                product += ridge * v
            return product

        residual = np.vecmat(seen, known) - x @ gram
        if ridge is not None:
            residual -= ridge * x
        _descend(x, residual, left, steps)
    solved[block.rows] = x


def _descend(x: Float32, residual: Float32, left: Callable[[Float32], Float32], steps: int) -> None:
    """`steps` of conjugate gradient on left(x) = right, row by row, in place."""
    direction = residual
    length = np.vecdot(residual, residual)
    for step in range(steps):
        moved = left(direction)
        share = length / np.maximum(np.vecdot(direction, moved), LEAST)
        x += share[:, None] * direction
        if step + 1 == steps:
            return
        moved *= share[:, None]
        residual = residual - moved
        before, length = length, np.vecdot(residual, residual)
        turn = length / np.maximum(before, LEAST)
        direction = residual + turn[:, None] * direction


def _gathered(fixed: Float32, columns: Int32, scratch: Float32) -> Float32:
    """[b, longest, factors]: the rows of `fixed`, in `scratch`."""
    known = scratch[: columns.size]
    np.take(fixed, columns.ravel(), axis=0, out=known, mode="clip")  # "raise" would copy twice
    return known.reshape(*columns.shape, fixed.shape[1])


def _normal_equations(
    block: Block, fixed: Float32, gram: Float32, scratch: Float32
) -> tuple[Float32, Float32]:
    """The matrix and the right side of one row that is too long for `scratch`, by parts."""
    whole, right = gram.copy(), np.zeros((1, len(gram)), np.float32)
    weights = np.broadcast_to(block.confidence, block.columns.shape)
    for start in range(0, block.columns.shape[1], len(scratch)):
        span = slice(start, start + len(scratch))
        known = _gathered(fixed, block.columns[:, span], scratch)[0]
        confidence = weights[0, span]
        right += (1 + confidence) @ known
        whole += known.T @ (confidence[:, None] * known)
    return whole, right
