"""Offline evaluation: a protocol splits, a model ranks everything unseen, metrics judge."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recommender.core.data import Interactions, ItemTable
from recommender.core.errors import BadParams, DatasetError, UnknownModel, sentence
from recommender.core.judging import (
    RECALL_AT,
    intervals,
    list_metrics,
    per_user,
    rating_errors,
    segments,
)
from recommender.core.metrics import rankings
from recommender.core.models.base import Model
from recommender.core.models.registry import model_class
from recommender.core.preparing import MATRIX, Preparation, matrix_of, without_matrix
from recommender.core.splits import Split, global_time, leave_last_out, random_share
from recommender.core.training.auto import Fitted, fit_named
from recommender.core.training.base import FitOptions
from recommender.core.training.tuning import searched

PROTOCOLS = ("leave-last-out", "temporal", "random")


@dataclass(frozen=True)
class Subject:
    """The data that models are compared on. `ratings` and `table` share the rows' ids."""

    name: str
    interactions: Interactions
    ratings: Interactions | None = None
    table: ItemTable | None = None
    preparation: Preparation = Preparation()


def split_by(protocol: str | None, interactions: Interactions, seed: int) -> tuple[str, Split]:
    """The protocol's name and its split; by default what the presence of times asks for.

    DatasetError when a protocol needs times that the data does not have, or holds out nothing.
    """
    timed = interactions.times is not None
    name = protocol or ("leave-last-out" if timed else "random")
    if name not in PROTOCOLS:
        raise BadParams(
            sentence(
                "no protocol named '%(name)s'; known: %(known)s",
                name=name,
                known=", ".join(PROTOCOLS),
            )
        )
    if name != "random" and not timed:
        raise DatasetError(
            sentence("the protocol %(name)s needs timestamps, this dataset has none", name=name)
        )
    if name == "leave-last-out":
        split = leave_last_out(interactions)
    elif name == "temporal":
        split = global_time(interactions)
    else:
        split = random_share(interactions, seed)
    if not len(split.held):
        raise DatasetError(
            sentence(
                "the protocol %(name)s holds out nothing: no user has enough events", name=name
            )
        )
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
    """`evaluated` for interactions alone."""
    subject = Subject(dataset, interactions)
    return evaluated(
        subject, model, protocol=protocol, k=k, params=params, tune=tune, options=options
    )


def evaluated(
    subject: Subject,
    model: str,
    *,
    protocol: str | None = None,
    k: int = 10,
    params: Mapping[str, Any] | None = None,
    tune: int = 0,
    options: FitOptions | None = None,
) -> dict[str, Any]:
    """Fit on the split's training part and judge full rankings on the rest; JSON-ready.

    Cleaning, matrix and search see the training part alone; the test is the same with and
    without them.
    """
    options = options or FitOptions()
    name, split = split_by(protocol, subject.interactions, options.seed)
    begun = time.perf_counter()
    train, report = subject.preparation.cleaned(split.train, split.until)
    chosen, search = dict(params or {}), None
    if tune:
        search = searched(model, chosen, train, tune, options, subject.preparation, split.until)
        chosen = search.best
    train = subject.preparation.weighed(train, chosen, split.until)
    fitted = _fitted(subject, model, without_matrix(chosen), train, split, options)
    fit_seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    users, depth = split.held.user_rows, max(k, RECALL_AT)
    lists = rankings(fitted.model, train, users, depth, seen=split.train, seed=options.seed)
    score_seconds = time.perf_counter() - begun
    told = {
        "model": model,
        "dataset": subject.name,
        "protocol": name,
        "seed": options.seed,
        "n_users": len(subject.interactions.users),
        "n_items": len(subject.interactions.items),
        "n_train": len(train),
        "n_test": sum(len(rows) for rows in split.held.item_rows),
        "metrics": list_metrics(lists, split, k, subject.table)
        | _stars(fitted.model, subject, split),
        "intervals": intervals(per_user(lists, split, k), options.seed),
        "segments": segments(lists, split, k, subject.table),
        "fit_seconds": round(fit_seconds, 3),
        "score_seconds": round(score_seconds, 3),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "params": _told(fitted.model, fitted.chosen, chosen),
    }
    if report is not None:
        told["cleaning"] = report.as_json()
    if search is not None:
        told["tuning"] = search.as_json()
    return told


def _fitted(
    subject: Subject,
    model: str,
    params: Mapping[str, Any],
    train: Interactions,
    split: Split,
    options: FitOptions,
) -> Fitted:
    """Rating models learn from the ratings of the training part, the others from the pairs."""
    if _rates(model) and subject.ratings is not None:
        ratings = _before(subject.ratings, train, split)
        if len(ratings):
            return fit_named(model, params, ratings, options)
    return fit_named(model, params, train, options)


def _rates(name: str) -> bool:
    try:
        return hasattr(model_class(name), "rate")
    except UnknownModel:  # a name for several
        return False


def _keys(x: Interactions) -> np.ndarray:
    return x.user_rows.astype(np.int64) * max(len(x.items), 1) + x.item_rows


def _before(ratings: Interactions, train: Interactions, split: Split) -> Interactions:
    """The ratings of training pairs, none after what is held out."""
    kept = np.isin(_keys(ratings), _keys(train))
    if split.until is not None and ratings.times is not None:
        kept &= ratings.times <= split.until[ratings.user_rows]
    return ratings.take(kept)


def _stars(model: Model, subject: Subject, split: Split) -> dict[str, float]:
    """RMSE and MAE on the held-out pairs that carry stars, for models that predict some."""
    ratings = subject.ratings
    if ratings is None or not hasattr(model, "rate"):
        return {}
    counts = [len(rows) for rows in split.held.item_rows]
    users = np.repeat(np.asarray(split.held.user_rows, np.int64), counts)
    items = np.concatenate([np.asarray(rows, np.int64) for rows in split.held.item_rows])
    held = users * max(len(ratings.items), 1) + items
    judged = ratings.take(np.isin(_keys(ratings), held))
    if not len(judged):
        return {}
    return rating_errors(model.rate(judged.user_rows, judged.item_rows), judged.values)


def _told(model: Model, chosen: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    told = {**model.params(), **({"chosen": dict(chosen)} if chosen else {})}
    matrix = matrix_of(params)
    return told | ({MATRIX: vars(matrix)} if matrix is not None else {})
