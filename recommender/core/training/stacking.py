"""Weights of a stack, learned from the validation items: a linear listwise softmax.

Stacked generalisation (Wolpert 1992; Breiman 1996) with the softmax loss over a user's competing
items. The loss is convex, so a few Newton steps find its one minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64
from recommender.core.models.stack import Mix, curve, length_basis
from recommender.core.training.blending import Board

# Ridges, in log-likelihood of all users together. z of a few huge scores must not decide alone.
STRAIGHT, CURVED, FACTS = 50.0, 2.0, 0.5
BY_LENGTH = 10.0  # times these for how a weight changes with the length of the history
NEWTON_STEPS = 12
CLOSE = 1e-4  # expected gain a user, in log-likelihood, at which the steps end
ROWS_AT_ONCE = 20_000
LEAST_DEVIATION = 0.1


@dataclass(frozen=True, eq=False)
class Stacking:
    """The columns of a board: z and curve(z) of each model, the facts; all by length again."""

    board: Board
    columns: Float32  # [rows, columns]
    basis: Float64  # [users], deviations of the log length from its mean
    lengths: tuple[float, float, float, float]

    @classmethod
    def of(cls, board: Board) -> Stacking:
        logs = np.log1p(board.lengths)
        deviation = max(float(logs.std()), LEAST_DEVIATION)
        told = (float(logs.mean()), deviation, float(logs.min()), float(logs.max()))
        columns = np.hstack([board.z, curve(board.z), board.facts])
        return cls(board, columns, length_basis(board.lengths, told), told)

    def scores(self, weights: Float64) -> Float32:
        """[rows] under weights [2, columns]."""
        level, slope = weights.astype(np.float32)
        line = self.basis[self.board.owner].astype(np.float32)
        found: Float32 = self.columns @ level + line * (self.columns @ slope)
        return found

    def parts(self, weights: Float64) -> Float64:
        """[models], the share of each in what moves the scores; they sum to 1."""
        models = self.board.z.shape[1]
        level = weights[0].astype(np.float32)
        terms = self.columns[:, :models] * level[:models]
        terms += self.columns[:, models : 2 * models] * level[models : 2 * models]
        moved = terms.std(axis=0, dtype=np.float64)
        shares: Float64 = moved / max(float(moved.sum()), 1e-12)
        return shares

    def mix(self, weights: Float64) -> Mix:
        models = self.board.z.shape[1]
        parts = np.split(weights, [models, 2 * models], axis=1)
        straight, curved, facts = ([tuple(map(float, row)) for row in part] for part in parts)
        return Mix(
            (straight[0], straight[1]), (curved[0], curved[1]), (facts[0], facts[1]), self.lengths
        )


def stack_weights(stacking: Stacking, users: NDArray[np.bool_]) -> Float64:
    """[2, columns] that make the held items of `users` [users] likeliest among what competes."""
    models, width = stacking.board.z.shape[1], stacking.columns.shape[1]
    level = np.repeat([STRAIGHT, CURVED, FACTS], [models, models, width - 2 * models])
    ridge = np.concatenate([level, BY_LENGTH * level])
    blocks = list(_blocks(stacking, users))
    weights = np.zeros(2 * width)
    weights[models : 2 * models] = 3 / models  # a blend of all: nearer than nothing
    value = _loss(blocks, weights, ridge)
    for _ in range(NEWTON_STEPS):
        gradient, curvature = _slopes(blocks, weights, ridge)
        step = np.linalg.solve(curvature, gradient)
        gain = float(step @ gradient)
        if gain < CLOSE * max(int(users.sum()), 1):
            break
        length = 1.0
        tried = _loss(blocks, weights - step, ridge)
        while tried > value - 1e-4 * length * gain and length > 1e-3:
            length /= 2
            tried = _loss(blocks, weights - length * step, ridge)
        weights, value = weights - length * step, tried
    return weights.reshape(2, width)


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows of some users; `columns` twice, the second time by length."""

    columns: Float32  # [rows, 2 columns]
    log_count: Float32  # [rows], of what each stands for
    starts: NDArray[np.int64]
    owner: NDArray[np.int64]
    reached: Float64  # [2 columns], summed over the held items, each user counting once


def _blocks(stacking: Stacking, users: NDArray[np.bool_]) -> list[_Block]:
    board = stacking.board
    ends = np.append(board.starts, len(board.z))
    held = np.zeros(len(board.z), bool)
    held[board.relevant] = True
    blocks, at, chosen = [], 0, np.flatnonzero(users).tolist()
    while at < len(chosen):
        taken: list[int] = []
        rows = 0
        while at < len(chosen) and (not taken or rows < ROWS_AT_ONCE):
            taken.append(chosen[at])
            rows += int(ends[chosen[at] + 1] - ends[chosen[at]])
            at += 1
        spans = [np.arange(ends[user], ends[user + 1]) for user in taken]
        index = np.concatenate(spans)
        counts = np.array([len(span) for span in spans])
        owner = np.repeat(np.arange(len(taken)), counts)
        line = stacking.basis[np.array(taken)][owner].astype(np.float32)
        own = stacking.columns[index]
        columns = np.hstack([own, line[:, None] * own])
        wanted = held[index]
        share = 1 / np.maximum(np.bincount(owner[wanted], minlength=len(taken)), 1)
        reached = share[owner[wanted]] @ columns[wanted]
        log_count = np.log(board.stands_for[index])
        blocks.append(_Block(columns, log_count, np.cumsum(counts) - counts, owner, reached))
    return blocks


def _likely(block: _Block, weights: Float64) -> tuple[Float32, float]:
    """[rows], the chance of each among its user's; and the summed log of the softmax's mass."""
    scores = block.columns @ weights.astype(np.float32) + block.log_count
    top = np.maximum.reduceat(scores, block.starts)
    likely = np.exp(scores - top[block.owner])
    mass = np.add.reduceat(likely, block.starts, dtype=np.float64)
    likely /= mass[block.owner].astype(np.float32)
    return likely, float(np.sum(top + np.log(mass)))


def _loss(blocks: list[_Block], weights: Float64, ridge: Float64) -> float:
    """Negative log-likelihood with its ridge."""
    each = (_likely(block, weights)[1] - float(weights @ block.reached) for block in blocks)
    return float(ridge @ weights**2) + sum(each)


def _slopes(
    blocks: list[_Block], weights: Float64, ridge: Float64
) -> tuple[Float64, NDArray[np.float64]]:
    """Gradient and curvature of the loss."""
    gradient = 2 * ridge * weights
    curvature = np.diag(2 * ridge)
    for block in blocks:
        likely, _ = _likely(block, weights)
        weighted = likely[:, None] * block.columns
        means = np.add.reduceat(weighted, block.starts, axis=0)
        gradient += means.sum(axis=0, dtype=np.float64) - block.reached
        curvature += block.columns.T @ weighted - means.T @ means
    return gradient, curvature
