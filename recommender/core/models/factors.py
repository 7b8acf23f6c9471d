"""Lists of many users at once for models whose score is the dot product of two vectors.

One matrix product finds the candidates, then the very dot products of `dots` order them, so the
lists and scores are those of scoring one by one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32
from recommender.core.models.base import Listed, Rows

CELLS = 2_500_000  # scores held at once: 10 MB
FOLD = 8  # the k-th best of the maxima of so many rows each lies close below the k-th best of all
SPARE = 32  # candidates beyond 2 k: more than that is left to scoring one by one


def dots(vectors: Float32, user: Float32) -> Float32:
    """[items]: a sum of its own for each row, the same whatever other rows are asked for."""
    found: Float32 = np.vecdot(vectors, user)
    return found


def best_by_factors(
    vectors: Float32,
    users: Float32,
    k: int,
    hidden: Sequence[Rows],
    order: NDArray[np.int64] | None = None,
) -> list[Listed | None]:
    """`Model.best` for `users` [users, factors].

    None where k is large for the catalogue or too many items are near the k-th to tell them
    apart: that user has to be scored alone.
    """
    n = len(vectors)
    if n < 4 * k or not len(users):
        return [None] * len(users)
    if order is not None:
        place = np.argsort(order)
        vectors, hidden = vectors[order], [place[gone[(gone >= 0) & (gone < n)]] for gone in hidden]
    together = max(1, CELLS // n)
    room = np.empty((together, n), np.float32)
    longest = float(np.sqrt(np.vecdot(vectors, vectors).max()))
    found: list[Listed | None] = []
    for start in range(0, len(users), together):
        some = users[start : start + together]
        scores = np.matmul(some, vectors.T, out=room[: len(some)])
        _hide(scores, hidden[start : start + together])
        # twice what rounding may move a sum of so many products, whatever their order
        slack = 4 * vectors.shape[1] * np.finfo(np.float32).eps * longest
        least = _kth(scores, k) - np.float32(slack) * np.linalg.norm(some, axis=1)
        least[~np.isfinite(least)] = np.inf
        found += _ordered(scores, least, vectors, some, k)
    if order is None:
        return found
    return [None if one is None else (order[one[0]].astype(np.int32), one[1]) for one in found]


def _hide(scores: Float32, hidden: Sequence[Rows]) -> None:
    users, n = scores.shape
    at = np.concatenate([np.asarray(gone, np.int64) for gone in hidden])
    owner = np.repeat(np.arange(users), [len(gone) for gone in hidden])
    inside = (at >= 0) & (at < n)
    scores[owner[inside], at[inside]] = -np.inf


def _kth(scores: Float32, k: int) -> Float32:
    """[users]: at most the k-th largest score of each."""
    users, n = scores.shape
    fold = min(FOLD, n // (4 * k))
    width = n // fold
    folded = scores[:, : width * fold].reshape(users, fold, width).max(axis=1)
    kth: Float32 = np.partition(folded, width - k, axis=1)[:, width - k]
    return kth


def _ordered(
    scores: Float32, least: Float32, vectors: Float32, users: Float32, k: int
) -> list[Listed | None]:
    """Every row at least as good as `least` is a candidate; of those the exact best k."""
    n = scores.shape[1]
    at = np.flatnonzero(scores >= least[:, None])
    owner = at // n
    rows = (at - owner * n).astype(np.int32)
    counts = np.bincount(owner, minlength=len(users))
    width = 2 * k + SPARE
    slot = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = slot < width
    owner, rows, slot = owner[kept], rows[kept], slot[kept]
    exact = np.vecdot(np.take(vectors, rows, axis=0), np.take(users, owner, axis=0))
    table = np.full((len(users), width), -np.inf, np.float32)
    names = np.zeros((len(users), width), np.int32)
    table[owner, slot], names[owner, slot] = exact, rows
    first = np.argsort(-table, axis=1, kind="stable")[:, :k]  # rows came in order: so do ties
    names = np.take_along_axis(names, first, axis=1)
    table = np.take_along_axis(table, first, axis=1)
    return [
        (names[user], table[user]) if k <= count <= width else None
        for user, count in enumerate(counts.tolist())
    ]
