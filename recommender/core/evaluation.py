"""Offline evaluation: a protocol splits, a model ranks everything unseen, metrics judge."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Int32, Interactions
from recommender.core.errors import BadParams, DatasetError
from recommender.core.metrics import gains, rankings
from recommender.core.models.base import Model
from recommender.core.splits import Split, global_time, leave_last_out, random_share
from recommender.core.training.auto import fit_named
from recommender.core.training.base import FitOptions
from recommender.core.training.tuning import tuned

PROTOCOLS = ("leave-last-out", "temporal", "random")
RECALL_AT = 20


def split_by(protocol: str | None, interactions: Interactions, seed: int) -> tuple[str, Split]:
    """The protocol's name and its split; by default what the presence of times asks for.

    DatasetError when a protocol needs times that the data does not have, or holds out nothing.
    """
    timed = interactions.times is not None
    name = protocol or ("leave-last-out" if timed else "random")
    if name not in PROTOCOLS:
        raise BadParams(f"no protocol named {name!r}; known: {', '.join(PROTOCOLS)}")
    if name != "random" and not timed:
        raise DatasetError(f"the protocol {name} needs timestamps, this dataset has none")
    if name == "leave-last-out":
        split = leave_last_out(interactions)
    elif name == "temporal":
        split = global_time(interactions)
    else:
        split = random_share(interactions, seed)
    if not len(split.held):
        raise DatasetError(f"the protocol {name} holds out nothing: no user has enough events")
    return name, split


def evaluate(
    *,
    dataset: str,
    interactions: Interactions,
    model: str,
    protocol: str | None = None,
    k: int = 10,
    params: Mapping[str, Any] | None = None,
    tune: int = 0,
    options: FitOptions | None = None,
) -> dict[str, Any]:
    """Fit on the split's training part and judge full rankings on the rest; JSON-ready."""
    options = options or FitOptions()
    name, split = split_by(protocol, interactions, options.seed)
    begun = time.perf_counter()
    chosen = dict(params or {})
    if tune:
        chosen = tuned(model, chosen, split.train, tune, options)
    fitted = fit_named(model, chosen, split.train, options)
    fit_seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    lists = rankings(fitted.model, split.train, split.held.user_rows, max(k, RECALL_AT))
    score_seconds = time.perf_counter() - begun
    return {
        "model": model,
        "dataset": dataset,
        "protocol": name,
        "seed": options.seed,
        "n_users": len(interactions.users),
        "n_items": len(interactions.items),
        "n_train": len(split.train),
        "n_test": sum(len(rows) for rows in split.held.item_rows),
        "metrics": list_metrics(lists, split, k),
        "fit_seconds": round(fit_seconds, 3),
        "score_seconds": round(score_seconds, 3),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "params": _told(fitted.model, fitted.chosen),
    }


def list_metrics(lists: list[Int32], split: Split, k: int) -> dict[str, float]:
    """Means over the held-out users, and what the lists do to the catalogue as a whole."""
    relevant = split.held.item_rows
    at_k = [gains(ranked, rows, k) for ranked, rows in zip(lists, relevant, strict=True)]
    wide = [gains(ranked, rows, RECALL_AT) for ranked, rows in zip(lists, relevant, strict=True)]
    shown = np.concatenate([ranked[:k] for ranked in lists])
    exposure = np.bincount(shown, minlength=len(split.train.items))
    found = {
        f"hr@{k}": np.mean([gain["hr"] for gain in at_k]),
        f"ndcg@{k}": np.mean([gain["ndcg"] for gain in at_k]),
        f"mrr@{k}": np.mean([gain["mrr"] for gain in at_k]),
        f"recall@{RECALL_AT}": np.mean([gain["recall"] for gain in wide]),
        f"coverage@{k}": np.mean(exposure > 0),
        f"gini@{k}": gini(exposure),
        f"novelty@{k}": np.mean(surprise(split.train)[shown]),
    }
    return {name: round(float(value), 6) for name, value in found.items()}


def gini(exposure: NDArray[np.int64]) -> float:
    """0 when every item is shown equally often, towards 1 when one item has all."""
    n, total = len(exposure), int(exposure.sum())
    if not total:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(2 * np.sum(ranks * np.sort(exposure)) / (n * total) - (n + 1) / n)


def surprise(train: Interactions) -> NDArray[np.float64]:
    """[items], -log2 of the share of users who know the item; as for one user where none does."""
    users = max(1, int(np.count_nonzero(np.diff(train.indptr))))
    return -np.log2(np.maximum(train.item_counts, 1) / users)


def _told(model: Model, chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {**model.params(), **({"chosen": dict(chosen)} if chosen else {})}
