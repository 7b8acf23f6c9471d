"""Lists of many users at once for models whose score is the dot product of two vectors.

One matrix product finds the candidates, then the very dot products of `dots` order them, so the
lists and scores are those of scoring one by one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Int32
from recommender.core.models.base import CELLS
from recommender.core.serving import Listed, Rows, hidden_places, hide, kth, named, ranked


def dots(vectors: Float32, user: Float32) -> Float32:
    """[items]: a sum of its own for each row, the same whatever other rows are asked for.

    `user` is one vector, or one for each row.
    """
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
    if order is not None:
        vectors, hidden = vectors[order], hidden_places(hidden, order)
    together = max(1, CELLS // max(len(vectors), 1))
    room = np.empty((together, len(vectors)), np.float32)
    # twice what rounding may move a sum of so many products, whatever their order
    longest = float(np.sqrt(np.vecdot(vectors, vectors).max(initial=0)))
    slack = np.float32(4 * vectors.shape[1] * np.finfo(np.float32).eps * longest)
    found: list[Listed | None] = []
    for start in range(0, len(users), together):
        some = users[start : start + together]
        scores = np.matmul(some, vectors.T, out=room[: len(some)])
        hide(scores, hidden[start : start + together])
        least = kth(scores, k) - slack * np.linalg.norm(some, axis=1)

        def exact(rows: Int32, some: Float32 = some) -> Float32:
            asked = np.take(vectors, rows.ravel(), axis=0).reshape(*rows.shape, -1)
            return dots(asked, some[:, None])

        found += ranked(scores, least, k, exact)
    return [None if one is None else named(one, order) for one in found]
