"""How much an item of a history still counts, by how many events came after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recommender.core.data import Float32, History


def recency(history: History, half_life: float) -> Float32:
    """[n], 1 for the newest, halved every `half_life` events.

    All ones when `half_life` is 0 or the history carries no times. Events that share their
    second share their mean age: their order is not known.
    """
    n = len(history)
    if half_life <= 0 or history.times is None or n == 0:
        return np.ones(n, np.float32)
    age = history.noted.get("ages")
    if age is None:
        age = history.noted["ages"] = ages(history.times)
    return np.exp2(age * (-1 / half_life)).astype(np.float32)


def recencies(histories: Sequence[History], half_life: float) -> Float32:
    """[histories, n]: `recency` of each; all have the same length."""
    n = len(histories[0])
    timed = [one.times for one in histories if one.times is not None]
    if half_life <= 0 or n == 0 or not timed:
        return np.ones((len(histories), n), np.float32)
    distinct = History.of(np.zeros(n, np.int32), times=np.arange(n, dtype=np.float64))
    plain = np.broadcast_to(recency(distinct, half_life), (len(histories), n))
    together = np.concatenate(timed).reshape(len(timed), n)
    shared = (together[:, 1:] == together[:, :-1]).any(axis=1)
    if len(timed) == len(histories) and not shared.any():
        return plain
    table, place = plain.copy(), 0
    for at, one in enumerate(histories):
        own = one.times is None or bool(shared[place])
        place += one.times is not None
        if own:
            table[at] = recency(one, half_life)
    return table


def ages(times: np.ndarray) -> np.ndarray:
    """[n], events after each one; events of the same second share their mean."""
    n = len(times)
    age = np.arange(n - 1, -1, -1, dtype=np.float64)
    if (times[1:] != times[:-1]).all():
        return age
    starts = np.flatnonzero(np.concatenate([[True], np.diff(times) != 0]))
    counts = np.diff(np.append(starts, n))
    return np.repeat(np.add.reduceat(age, starts) / counts, counts)
