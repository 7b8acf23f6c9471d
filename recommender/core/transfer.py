"""Does what someone took of one kind of course help to rank another kind for them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Interactions
from recommender.core.errors import DatasetError, Sentence, sentence
from recommender.core.metrics import gains
from recommender.core.models.base import Model
from recommender.core.preparing import Preparation, without_matrix
from recommender.core.serving import top_k
from recommender.core.training.auto import fit_named
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer

TESTED_SHARE = 0.3  # of the users with several kinds; the rest teach what goes together
LEAST_USERS = 10  # a pair of kinds with fewer is left out
K = 10


@dataclass(frozen=True)
class Transfer:
    """Users known by `source` alone, ranked over the items of `target` alone."""

    source: str
    target: str
    users: int
    auc: float
    popular_auc: float
    ndcg: float
    popular_ndcg: float

    def sentence(self) -> Sentence:
        """For people."""
        return sentence(
            "%(source)s → %(target)s: %(users)s users, AUC %(auc)s (popular %(popular_auc)s), "
            "NDCG@10 %(ndcg)s (popular %(popular_ndcg)s)",
            **{
                name: f"{value:.3f}" if isinstance(value, float) else value
                for name, value in vars(self).items()
            },
        )


def transfer(
    interactions: Interactions,
    model: str,
    params: Mapping[str, Any] | None = None,
    options: FitOptions | None = None,
    preparation: Preparation | None = None,
) -> list[Transfer]:
    """One fit; each tested user keeps the events of one kind, and the others are to be found.

    The kind of an item is its category. Pairs with fewer than `LEAST_USERS` are left out.
    Cleaning and matrix see what is learned from alone, never what is to be found.
    DatasetError when the data knows no two kinds or no user of several.
    """
    options, preparation = options or FitOptions(), preparation or Preparation()
    kinds, kind_of = _kinds(interactions)
    kept, sources = _split(interactions, kind_of, len(kinds), options.seed)
    train, _ = preparation.cleaned(interactions.take(kept))
    train = preparation.weighed(train, params or {})
    fitted = fit_named(model, without_matrix(params or {}), train, options).model
    popular = make_trainer("popular").fit(train, FitOptions())
    found: dict[tuple[int, int], list[list[float]]] = {}
    for user, source in sources.items():
        span = slice(interactions.indptr[user], interactions.indptr[user + 1])
        rows = interactions.item_rows[span]
        for target in set(kind_of[rows].tolist()) - {source, -1}:
            inside = np.flatnonzero(kind_of == target)
            wanted = np.isin(inside, rows[kind_of[rows] == target])
            judged = [_judged(m, train, user, inside, wanted) for m in (fitted, popular)]
            found.setdefault((source, target), []).append([*judged[0], *judged[1]])
    told = []
    for (source, target), values in sorted(found.items()):
        if len(values) >= LEAST_USERS:
            auc, ndcg, popular_auc, popular_ndcg = np.nanmean(np.array(values), axis=0)
            told.append(
                Transfer(
                    source=kinds[source],
                    target=kinds[target],
                    users=len(values),
                    auc=float(auc),
                    popular_auc=float(popular_auc),
                    ndcg=float(ndcg),
                    popular_ndcg=float(popular_ndcg),
                )
            )
    return told


def why_none(interactions: Interactions, options: FitOptions | None = None) -> Sentence:
    """Why `transfer` with these options found no pair of kinds with enough users."""
    kinds, kind_of = _kinds(interactions)
    seed = (options or FitOptions()).seed
    _, sources = _split(interactions, kind_of, len(kinds), seed)
    most: Counter[tuple[int, int]] = Counter()
    for user, source in sources.items():
        span = slice(interactions.indptr[user], interactions.indptr[user + 1])
        targets = set(kind_of[interactions.item_rows[span]].tolist()) - {source, -1}
        most.update((source, target) for target in targets)
    return sentence(
        "of %(tested)s tested users at most %(most)s share a pair of categories, "
        "and %(least)s are needed",
        tested=len(sources),
        most=max(most.values()),
        least=LEAST_USERS,
    )


def _kinds(x: Interactions) -> tuple[list[str], NDArray[np.int64]]:
    """The categories by name, and for each item the place of its own, -1 without one."""
    categories = x.table.categories if x.table else []
    names = sorted({name for name in categories if name})
    if len(names) < 2:
        raise DatasetError(
            sentence("items.csv names fewer than two categories: nothing to transfer between")
        )
    place = {name: n for n, name in enumerate(names)}
    return names, np.array([place.get(name, -1) for name in categories], np.int64)


def _split(
    x: Interactions, kind_of: NDArray[np.int64], count: int, seed: int
) -> tuple[NDArray[np.bool_], dict[int, int]]:
    """Which events are learned from, and the kind that each tested user is known by."""
    known = kind_of[x.item_rows] >= 0
    at = x.user_rows[known].astype(np.int64) * count + kind_of[x.item_rows[known]]
    cells = np.bincount(at, minlength=len(x.users) * count).reshape(-1, count)
    several = np.flatnonzero(np.count_nonzero(cells, axis=1) > 1)
    if not len(several):
        raise DatasetError(sentence("no user has taken items of two categories"))
    rng = np.random.default_rng(seed)
    tested = rng.permutation(several)[: max(1, round(len(several) * TESTED_SHARE))]
    sources = {int(user): int(rng.choice(np.flatnonzero(cells[user]))) for user in tested}
    allowed = np.full(len(x.users), -1)
    allowed[list(sources)] = list(sources.values())
    mine = allowed[x.user_rows]
    return (mine < 0) | (kind_of[x.item_rows] == mine), sources


def _judged(
    model: Model,
    train: Interactions,
    user: int,
    inside: NDArray[np.int64],
    wanted: NDArray[np.bool_],
) -> tuple[float, float]:
    """AUC and NDCG@10 over the items of one kind."""
    scores: Float32 = model.score_one(train.history(user))[inside]
    listed = top_k(scores, K)
    ndcg = gains(listed, np.flatnonzero(wanted).tolist(), K)["ndcg"]
    yes, no = scores[wanted], scores[~wanted]
    if not len(no):
        return float("nan"), ndcg  # took all there is of this kind
    above = np.mean(yes[:, None] > no[None, :]) + np.mean(yes[:, None] == no[None, :]) / 2
    return float(above), ndcg


def as_json(found: list[Transfer]) -> list[dict[str, Any]]:
    """Rounded, for `evaluate --json`."""
    return [
        {key: round(v, 6) if isinstance(v, float) else v for key, v in vars(one).items()}
        for one in found
    ]
