"""From scores to lists: exact top k with ties decided by the lower item row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Int32


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
