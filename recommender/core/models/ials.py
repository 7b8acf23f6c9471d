"""Implicit alternating least squares: item factors, users folded in when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64, History, IdMap, Int32, restricted
from recommender.core.models.base import Arrays, Model, Params, nearest, over_history
from recommender.core.models.factors import best_by_factors, dots
from recommender.core.models.recency import recencies, recency
from recommender.core.serving import Listed, Rows

BLOCK_ROWS = 8_192  # past items of users who are folded in together: 2 MB at 64 factors
SHORT = 24  # past items up to which as many unknowns are solved for, in place of the factors
STEPS = 16  # of conjugate gradient before a user is solved for directly
CLOSE = np.float32(1e-6)  # of the right side's length: what rounding leaves
LEAST = np.float32(1e-30)


@dataclass(frozen=True)
class IALSConfig:
    """Confidence of an interaction is 1 + alpha * weight (Hu, Koren, Volinsky 2008).

    A ridge that grows with an item's users is the weighted-λ regularization of Zhou et al. 2008,
    by a power as in Rendle et al. 2022, "Revisiting the Performance of iALS".
    """

    factors: int = 64
    iterations: int = 15
    alpha: float = 3.0
    regularization: float = 30.0
    item_power: float = 0.0  # an item's ridge grows with its users^this; at the mean it is the same
    cg_steps: int = 3
    half_life: float = 8.0  # events; discounts older items at fold-in; 0: all count the same
    boost: float = 10.0  # of alpha at fold-in where items are discounted: little is left of most


@dataclass(frozen=True, eq=False)
class Whitened:
    """What scoring reads instead of the item factors; stored, so that workers share it."""

    basis: Float32  # [factors, factors]
    factors: Float32  # [items, factors]


@dataclass(frozen=True, eq=False)
class IALS(Model):
    """Item factors. Users are folded in when asked for, so a new event counts at once."""

    name: ClassVar[str] = "ials"

    config: IALSConfig
    items: IdMap
    item_factors: Float32  # [items, factors]
    gram: Float32  # [factors, factors], YᵀY + regularization
    popularity: Float32  # [items], the answer to an empty history
    stored: Whitened | None = None  # as `whitened` gives it, where it was stored

    def fold_in(self, history: History) -> Float32:
        """User factors [factors] from one user's weighted items: the exact least squares."""
        user: Float32 = self.fold_in_many([history])[0]
        return user

    def fold_in_many(self, histories: Sequence[History]) -> Float32:
        """[users, factors]; each the same bits whoever else is asked for, so nothing is padded."""
        past = restricted(histories, len(self.items))
        users: Float32 = np.matvec(self.whitened.basis, self._folded(past))
        return users

    def _folded(self, past: Sequence[History]) -> Float32:
        """[users, factors] in the basis of `whitened`, where a score is a dot product as well."""
        lengths = np.array([len(one) for one in past], np.int64)
        found = np.zeros((len(past), self.item_factors.shape[1]), np.float32)
        for length in np.unique(lengths[lengths > 0]):
            alike = np.flatnonzero(lengths == length)
            together = max(1, BLOCK_ROWS // int(length))
            for start in range(0, len(alike), together):
                some = alike[start : start + together]
                found[some] = self._solved([past[at] for at in some])
        return found

    def _solved(self, past: Sequence[History]) -> Float32:
        """[users, factors], for histories of one length."""
        rows = np.concatenate([one.rows for one in past]).reshape(len(past), -1)
        weights = np.concatenate([one.weights for one in past]).reshape(rows.shape)
        weights = weights * recencies(past, self.config.half_life)
        confidence = np.array([[self._alpha(one)] for one in past], np.float32) * weights
        known = np.take(self.whitened.factors, rows.ravel(), axis=0).reshape(*rows.shape, -1)
        if rows.shape[1] <= SHORT:
            shares = np.linalg.solve(_among_past(known, confidence), 1 + confidence[:, :, None])
            folded: Float32 = np.vecmat(shares[:, :, 0], known)
            return folded
        right = np.vecmat(1 + confidence, known)
        user, left = _descended(known, confidence, right)
        if len(left):
            known, confidence = known[left], confidence[left]
            system = known.swapaxes(1, 2) @ (confidence[:, :, None] * known)
            system += np.eye(known.shape[2], dtype=np.float32)
            user[left] = np.linalg.solve(system, right[left][:, :, None])[:, :, 0]
        return user

    @cached_property
    def whitened(self) -> Whitened:
        """A basis in which the Gram matrix is the identity, and the item factors in it.

        Row by row, so that the bits do not hang on how many threads the algebra may take.
        """
        if self.stored is not None:
            return self.stored
        basis = whitening(self.gram).astype(np.float32)
        return Whitened(basis, np.matvec(basis.T.copy(), self.item_factors))

    def score_one(self, history: History) -> Float32:
        if not history.known(len(self.items)).any():
            return np.array(self.popularity)
        past = history.restricted(len(self.items))
        return dots(self.whitened.factors, self._folded([past])[0])

    def best(
        self,
        histories: Sequence[History],
        k: int,
        hidden: Sequence[Rows],
        order: NDArray[np.int64] | None = None,
    ) -> list[Listed]:
        past = restricted(histories, len(self.items))
        known = [at for at, one in enumerate(past) if len(one)]
        users = self._folded([past[at] for at in known])
        told = best_by_factors(self.whitened.factors, users, k, [hidden[at] for at in known], order)
        found = {at: listed for at, listed in zip(known, told, strict=True) if listed is not None}
        alone = [at for at in range(len(histories)) if at not in found]
        scored = super().best(
            [histories[at] for at in alone], k, [hidden[at] for at in alone], order
        )
        found |= zip(alone, scored, strict=True)
        return [found[at] for at in range(len(histories))]

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Exact: a row sums to the item's score (Hu, Koren, Volinsky 2008, section 5)."""
        past = history.restricted(len(self.items))
        confidence = np.float32(self._alpha(past)) * past.weights
        confidence *= recency(past, self.config.half_life)
        known, asked = self.whitened.factors[past.rows], self.whitened.factors[item_rows]
        if len(past) <= SHORT:
            part = np.linalg.solve(_among_past(known, confidence).T, known @ asked.T).T
        else:
            left = known.T @ (confidence[:, None] * known)
            left += np.eye(known.shape[1], dtype=np.float32)
            part = (known @ np.linalg.solve(left, asked.T)).T
        part *= 1 + confidence
        return over_history(history, len(self.items), part, len(item_rows))

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        return nearest(self.item_factors, item_rows, k)

    def arrays(self) -> Arrays:
        return {
            "item_factors": self.item_factors,
            "gram": self.gram,
            "popularity": self.popularity,
            "basis": self.whitened.basis,
            "whitened": self.whitened.factors,
        }

    def params(self) -> Params:
        return asdict(self.config)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        return cls(
            IALSConfig(**params),
            items,
            arrays["item_factors"],
            arrays["gram"],
            arrays["popularity"],
            Whitened(arrays["basis"], arrays["whitened"]) if "whitened" in arrays else None,
        )

    def _alpha(self, history: History) -> float:
        c = self.config
        return c.alpha * (c.boost if c.half_life > 0 and history.times is not None else 1.0)


def _among_past(known: Float32, confidence: Float32) -> Float32:
    """[..., n, n], I + C·K·Kᵀ of n past items.

    (I + KᵀCK)⁻¹Kᵀ = Kᵀ(I + CKKᵀ)⁻¹: a short history needs no system as wide as the factors.
    """
    left: Float32 = confidence[..., None] * (known @ known.swapaxes(-1, -2))
    left += np.eye(left.shape[-1], dtype=np.float32)
    return left


def _descended(
    known: Float32, confidence: Float32, right: Float32
) -> tuple[Float32, NDArray[np.int64]]:
    """Solutions of (I + KᵀCK) x = right by conjugate gradient; rows where STEPS were too few.

    A history changes few directions, so a few steps reach rounding. A row that is there no
    longer moves, whoever else is still under way.
    """
    user, residual, direction = np.zeros_like(right), right, right
    length = np.vecdot(residual, residual)
    enough = CLOSE**2 * length
    moving = length > enough
    for _ in range(STEPS):
        if not moving.any():
            break
        inner = np.matvec(known, direction)
        inner *= confidence
        moved = np.vecmat(inner, known)
        moved += direction
        share = length / np.maximum(np.vecdot(direction, moved), LEAST)
        share[~moving] = 0
        user += share[:, None] * direction
        moved *= share[:, None]
        residual = residual - moved
        before, length = length, np.vecdot(residual, residual)
        direction = (length / np.maximum(before, LEAST))[:, None] * direction
        direction += residual
        moving &= ~(length <= enough)
    return user, np.flatnonzero(moving)


def whitening(gram: Float32) -> Float64:
    """W [n, n] with WᵀGW = I, by Cholesky; a direction that G has not gets a large number."""
    left = gram.astype(np.float64)
    inverse = np.eye(len(left))
    least = 1e-9 * max(float(left.diagonal().max(initial=0)), 1e-30)
    for at in range(len(left)):
        column = left[at:, at] / np.sqrt(max(left[at, at], least))
        inverse[at] /= column[0] if left[at, at] > least else np.sqrt(least)
        inverse[at + 1 :] -= column[1:, None] * inverse[at]
        left[at:, at:] -= column[:, None] * column
    return inverse.T
