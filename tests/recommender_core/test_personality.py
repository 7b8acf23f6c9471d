"""Who gets a list of their own: the additive starting point never, the served model always."""

from __future__ import annotations

import numpy as np
import pytest

from devstack import movielens
from recommender.core.data import IdMap, Interactions
from recommender.core.reading import read_dataset
from recommender.core.serving import top_k
from recommender.core.training.auto import fit_named
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer

COMPARED = 40
SMALL_AUTO = {"epochs": 2, "factors": 16}


@pytest.fixture(scope="module")
def rated(tmp_path_factory) -> Interactions:
    """The demo's real ratings: 671 people, 9,066 films."""
    return read_dataset(movielens.write(tmp_path_factory.mktemp("movielens"))).interactions


@pytest.fixture(scope="module")
def compared(rated):
    """People with few films, so that plenty of films are new to all of them."""
    lengths = np.diff(rated.indptr)
    users = np.argsort(lengths, kind="stable")[:COMPARED]
    return [rated.history(int(user)) for user in users]


@pytest.fixture(scope="module")
def new_to_all(rated, compared):
    """Rows of the better-known films that none of the compared people has seen.

    Masking what each has seen would make even popularity look personal.
    """
    seen = np.unique(np.concatenate([history.rows for history in compared]))
    known = np.flatnonzero(rated.item_counts >= 5)
    return np.setdiff1d(known, seen)


def top_sets(model, histories, rows) -> set[frozenset[int]]:
    return {frozenset(top_k(model.score_one(h)[rows], 10).tolist()) for h in histories}


def rank_correlation(model, histories, rows) -> float:
    """The mean of Spearman's correlation between the rankings of neighbouring people."""
    ranks = [np.argsort(np.argsort(model.score_one(h)[rows])) for h in histories]
    pairs = zip(ranks, ranks[1:], strict=False)
    return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in pairs]))


def test_concat_linear_ranks_everything_the_same_for_everybody(rated, compared, new_to_all):
    model = make_trainer("concat_linear", {"epochs": 2}).fit(rated, FitOptions())

    assert len(top_sets(model, compared, new_to_all)) == 1
    assert rank_correlation(model, compared, new_to_all) > 0.999
    # not by accident of the fit: the user's part is one number, added to every item
    scores = np.stack([model.score_one(h)[new_to_all] for h in compared]).astype(np.float64)
    double_difference = scores - scores.mean(axis=0) - scores.mean(axis=1)[:, None] + scores.mean()
    assert np.abs(double_difference).max() < 1e-5 * np.ptp(scores)
    assert np.ptp(scores.mean(axis=1)) > 0  # the users do differ, in that number alone


def test_the_served_model_ranks_the_same_items_differently(rated, compared, new_to_all):
    model = fit_named("auto", SMALL_AUTO, rated, FitOptions()).model

    assert len(new_to_all) > 500
    assert len(top_sets(model, compared, new_to_all)) / COMPARED > 0.5
    assert rank_correlation(model, compared, new_to_all) < 0.9


@pytest.fixture(scope="module")
def well_known(rated) -> Interactions:
    """The films with at least 20 ratings alone: networks learn them in seconds."""
    kept = np.flatnonzero(rated.item_counts >= 20)
    place = np.full(len(rated.items), -1)
    place[kept] = np.arange(len(kept))
    mine = place[rated.item_rows] >= 0
    return Interactions.build(
        users=rated.users,
        items=IdMap.from_ids(rated.items.ids(kept)),
        user_rows=rated.user_rows[mine],
        item_rows=place[rated.item_rows[mine]],
        times=rated.times[mine],
    )


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("user_knn", {}),
        ("session_knn", {}),
        ("ials", {"factors": 16, "iterations": 5}),
        ("transitions", {}),
        ("history_tower", {"factors": 16, "epochs": 4}),
        ("neumf", {"factors": 16, "epochs": 10, "batch": 512}),
        ("lightgcn", {"factors": 16, "epochs": 4}),
        ("sasrec", {"factors": 16, "epochs": 6, "length": 32, "blocks": 1}),
        ("two_tower", {"factors": 16, "epochs": 4}),
    ],
)
def test_every_personal_model_ranks_the_same_items_differently(well_known, name, params):
    x = well_known
    lengths = np.diff(x.indptr)
    users = np.flatnonzero(lengths >= 3)
    users = users[np.argsort(lengths[users], kind="stable")][:COMPARED]
    histories = [x.history(int(user)) for user in users]
    rows = np.setdiff1d(
        np.arange(len(x.items)), np.concatenate([history.rows for history in histories])
    )
    model = make_trainer(name, params).fit(x, FitOptions())

    assert len(rows) > 300
    assert len(top_sets(model, histories, rows)) / COMPARED > 0.5
    assert rank_correlation(model, histories, rows) < 0.9


def test_popularity_is_caught_by_the_same_measure(rated, compared, new_to_all):
    model = make_trainer("popular").fit(rated, FitOptions())

    assert len(top_sets(model, compared, new_to_all)) == 1
