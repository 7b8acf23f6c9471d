"""Sorting and counting of many events part by part, in little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Float64 = NDArray[np.float64]

SLAB = 2_000_000  # events that are sorted at once
TIE_SEED = 20240229  # events in the same second are shuffled by this, never ordered by item id


def counted(rows: Int32, n: int) -> NDArray[np.int64]:
    """[n], how often each row comes; by parts, since bincount widens what it is given."""
    counts = np.zeros(n, np.int64)
    for start in range(0, len(rows), SLAB):
        counts += np.bincount(rows[start : start + SLAB], minlength=n)
    return counts


def _slabs(user: Int32) -> Iterator[NDArray[np.bool_]]:
    """Masks over events, each of neighbouring users with about SLAB events, users ascending.

    Sorting slab by slab takes little memory and stays in the caches.
    """
    ends = np.cumsum(np.bincount(user))
    total, first = int(ends[-1]), 0
    while first < len(ends):
        done = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, done + SLAB, side="right")), first + 1)
        whole = first == 0 and total <= SLAB
        yield np.ones(len(user), np.bool_) if whole else (user >= first) & (user < last)
        first = len(ends) if whole else last


def first_of_pairs(user: Int32, item: Int32, time: Float64 | None, items: int) -> NDArray[np.bool_]:
    """[n]: the oldest event of each (user, item), of several the one that came first."""
    kept = np.zeros(len(user), np.bool_)
    for mask in _slabs(user) if len(user) else ():
        at = np.flatnonzero(mask)
        if time is not None:
            at = at[np.argsort(time[at], kind="stable")]
        key = user[at].astype(np.int64) * max(items, 1) + item[at]
        kept[at[np.unique(key, return_index=True)[1]]] = True
    return kept


def in_order(
    user: Int32, time: Float64 | None, kept: NDArray[np.bool_]
) -> Iterator[NDArray[np.int32]]:
    """The kept events by user, then oldest first; ties in a shuffle that depends on no id."""
    order = np.flatnonzero(kept).astype(np.int32)
    shuffled = np.random.default_rng(TIE_SEED).permutation(len(order)).astype(np.int32)
    owner = user[order]
    for mask in _slabs(owner) if len(order) else ():
        at, mine, tie = order[mask], owner[mask], shuffled[mask]
        if time is None:
            yield at[np.argsort(mine, kind="stable")]
        else:
            yield at[np.lexsort((tie, time[at], mine))]
