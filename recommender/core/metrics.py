"""Quality of full rankings: every unseen item competes, nothing is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float64, Interactions
from recommender.core.models.base import Model
from recommender.core.threads import one_blas_thread

TOGETHER = 16_384  # users whose lists are made at once


@dataclass(frozen=True)
class Held:
    """For each user row the item rows held out; histories come from the training data."""

    user_rows: Sequence[int] = ()
    item_rows: Sequence[Sequence[int]] = ()

    def __len__(self) -> int:
        return len(self.user_rows)


def gains(ranked: NDArray[np.int32], relevant: Sequence[int], k: int) -> dict[str, float]:
    """hr, ndcg, mrr and recall of one ranked list cut at k."""
    hits = np.flatnonzero(np.isin(ranked[:k], relevant))
    ideal = discounts(min(k, len(relevant))).sum()
    return {
        "hr": float(len(hits) > 0),
        "ndcg": float(discounts(k)[hits].sum() / ideal) if len(relevant) else 0.0,
        "mrr": float(1 / (hits[0] + 1)) if len(hits) else 0.0,
        "recall": len(hits) / len(relevant) if len(relevant) else 0.0,
    }


def discounts(k: int) -> Float64:
    """[k], 1 / log2(rank + 1)."""
    return 1 / np.log2(np.arange(2, k + 2))


def rankings(
    model: Model,
    interactions: Interactions,
    user_rows: Sequence[int],
    k: int,
    *,
    seen: Interactions | None = None,
    seed: int | None = None,
) -> list[NDArray[np.int32]]:
    """The top k unseen items of each user, from the histories in `interactions`.

    `seen` names what is left out where it is more than the history. With a `seed` equal scores
    stand in a random order of items, the same for all users: the order of rows is often the
    order in which items were first taken up, which must not decide.
    """
    order = None
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(interactions.items))
    lists: list[NDArray[np.int32]] = []
    with one_blas_thread():
        for start in range(0, len(user_rows), TOGETHER):
            histories = interactions.histories(user_rows[start : start + TOGETHER])
            hidden = histories if seen is None else [seen.history(h.user) for h in histories]
            found = model.best(histories, k, [past.rows for past in hidden], order)
            lists += [rows for rows, _ in found]
    return lists


def mean_gain(
    model: Model, interactions: Interactions, held: Held, k: int = 10, name: str = "ndcg"
) -> float:
    """The mean of one of `gains` over the held-out users; 0 without any."""
    lists = rankings(model, interactions, held.user_rows, k)
    found = [gains(ranked, rel, k)[name] for ranked, rel in zip(lists, held.item_rows, strict=True)]
    return float(np.mean(found)) if found else 0.0
