"""From scores to lists: exact top k with ties decided by the lower item row.

Of many users at once the candidates are found for all, and only those are sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Int32

Rows = NDArray[np.integer[Any]]
Listed = tuple[Int32, Float32]  # rows and scores of one list, best first
Exact = Callable[[Int32], Float32]

FOLD = 8  # the k-th best of the maxima of so many rows each lies close below the k-th best of all
SPARE = 32  # candidates beyond 2 k: more than that is left to sorting one by one


def top_many(
    scores: Float32, k: int, hidden: Sequence[Rows], order: NDArray[np.int64] | None = None
) -> list[Listed]:
    """`top_k` of every row of `scores` [users, items], which is overwritten, with the scores.

    Equal scores stand by the lower row, or as `order` [items] has them.
    """
    if order is not None:
        scores, hidden = scores[:, order], hidden_places(hidden, order)
    hide(scores, hidden)
    found = ranked(scores, kth(scores, k), k)
    for user, listed in enumerate(found):
        if listed is None:
            rows = top_k(scores[user], k, hidden[user])
            found[user] = rows, scores[user][rows]
    return [named(listed, order) for listed in found if listed is not None]


def ranked(
    scores: Float32, least: Float32, k: int, exact: Exact | None = None
) -> list[Listed | None]:
    """Per user the best k of the rows that score `least` [users] or more.

    `exact` gives the scores that decide, of rows [users, any], where `scores` are not yet they.
    None where the candidates are fewer than k or too many.
    """
    users, n = scores.shape
    at = np.flatnonzero(scores >= least[:, None])
    owner = at // n
    counts = np.bincount(owner, minlength=users)
    width = min(2 * k + SPARE, int(counts.max(initial=1)))
    slot = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    at, owner, slot = (column[slot < width] for column in (at, owner, slot))
    names = np.zeros((users, width), np.int32)
    names[owner, slot] = at - owner * n
    table = np.full((users, width), -np.inf, np.float32)
    table[owner, slot] = scores.ravel()[at] if exact is None else exact(names)[owner, slot]
    first = np.argsort(-table, axis=1, kind="stable")[:, :k]  # rows came in order: so do ties
    names = np.take_along_axis(names, first, axis=1)
    table = np.take_along_axis(table, first, axis=1)
    return [
        (names[user], table[user]) if k <= count <= width else None
        for user, count in enumerate(counts.tolist())
    ]


def kth(scores: Float32, k: int) -> Float32:
    """[users]: at most the k-th largest score of each; infinity where that is none to go by."""
    users, n = scores.shape
    fold = min(FOLD, n // (4 * max(k, 1)))
    if fold < 1:
        return np.full(users, np.inf, np.float32)
    width = n // fold
    folded = scores[:, : width * fold].reshape(users, fold, width).max(axis=1)
    found: Float32 = np.partition(folded, width - k, axis=1)[:, width - k]
    found[~np.isfinite(found)] = np.inf
    return found


def hide(scores: Float32, hidden: Sequence[Rows]) -> None:
    """Minus infinity for the hidden rows of each user; rows outside are ignored."""
    users, n = scores.shape
    if not users:
        return
    at = np.concatenate([np.asarray(gone, np.int64) for gone in hidden])
    owner = np.repeat(np.arange(users), [len(gone) for gone in hidden])
    inside = (at >= 0) & (at < n)
    scores[owner[inside], at[inside]] = -np.inf


def hidden_places(hidden: Sequence[Rows], order: NDArray[np.int64]) -> list[Rows]:
    """Where the hidden rows stand in `order`."""
    place = np.argsort(order)
    return [place[gone[(gone >= 0) & (gone < len(order))]] for gone in hidden]


def named(listed: Listed, order: NDArray[np.int64] | None) -> Listed:
    """The rows that stand at these places of `order`."""
    places, scores = listed
    return (places if order is None else order[places].astype(np.int32)), scores


def top_k(scores: Float32, k: int, exclude: NDArray[np.integer[Any]] | None = None) -> Int32:
    """Rows of the k best scores, best first; equal scores by the lower row.

    `exclude` holds rows that never appear; rows outside the scores are ignored. Fewer than k
    rows come back only when fewer are left. `scores` [items] is not changed.
    """
    left = len(scores)
    if exclude is not None and len(exclude):
        scores = scores.copy()
        inside = exclude[(exclude >= 0) & (exclude < len(scores))]
        scores[inside] = -np.inf
        left -= len(np.unique(inside))
    k = min(k, left)
    if k <= 0:
        return np.empty(0, np.int32)
    if k < len(scores):
        bar = np.partition(scores, len(scores) - k)[len(scores) - k]
        above = np.flatnonzero(scores > bar)
        best = np.concatenate([above, np.flatnonzero(scores == bar)[: k - len(above)]])
    else:
        best = np.arange(len(scores))
    order = np.lexsort((best, -scores[best]))
    return best[order].astype(np.int32)
