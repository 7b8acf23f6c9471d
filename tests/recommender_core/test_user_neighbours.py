"""Neighbours among users, worked out by hand or by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recommender.core.data import History
from recommender.core.models.neighbours import PRIOR
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer
from tests.recommender_core.conftest import events, two_tastes


def test_user_knn_is_the_formula_for_three_people():
    # s(u, v) = common / sqrt(|u| |v|) · common / (common + 1), without weights for rarity
    x = events([("u", "a", None), ("u", "b", None), ("v", "a", None), ("v", "b", None),
                ("v", "c", None), ("w", "b", None), ("w", "d", None)])  # fmt: skip
    params = {"shrink": 1.0, "idf_power": 0, "half_life": 0}
    model = make_trainer("user_knn", params).fit(x, FitOptions())

    own, like_v, like_w = 2 / 3, 2 / math.sqrt(6) * 2 / 3, 1 / 2 * 1 / 2
    total = own + like_v + like_w
    wanted = [(own + like_v) / total, 1.0, like_v / total, like_w / total]
    scores = model.score_one(x.history(0)) - PRIOR * model.popularity
    assert scores.tolist() == pytest.approx(wanted, rel=1e-4)


def test_user_knn_listens_to_the_nearest_alone():
    rows = [("u", "a", None), ("u", "b", None), ("v", "a", None), ("v", "b", None),
            ("v", "c", None), ("w", "b", None), ("w", "d", None)]  # fmt: skip
    x = events(rows)
    model = make_trainer("user_knn", {"neighbours": 1}).fit(x, FitOptions())

    scores = model.score_one(History.of([0, 1])) - PRIOR * model.popularity
    assert scores[2:].tolist() == [0, 0]  # the nearest is u, who took neither c nor d


def test_session_knn_prefers_what_stood_right_behind_the_newest_match():
    # the neighbours took x0 … x9 in order; the learner stands at x4
    rows = [(f"v{n}", f"x{step}", float(100 * n + step)) for n in range(5) for step in range(10)]
    x = events(rows)
    model = make_trainer("session_knn").fit(x, FitOptions())

    scores = model.score_one(History.of([3, 4], times=[1.0, 2.0]))
    ahead = scores[5:]
    assert (np.diff(ahead) < 0).all()
    assert ahead[0] / ahead[4] == pytest.approx(2 ** (4 / model.config.step_half_life), rel=1e-3)
    assert scores[2] == pytest.approx(model.config.backward * scores[6], rel=1e-3)  # two away
    assert model.score_one(History.of([4, 3], times=[1.0, 2.0]))[5] < scores[5]


def test_session_knn_believes_those_who_share_the_newest_item():
    rows = [("v", "old", 1.0), ("v", "for-old", 2.0), ("w", "new", 1.0), ("w", "for-new", 2.0)]
    x = events(rows)
    model = make_trainer("session_knn").fit(x, FitOptions())

    old, new, for_old, for_new = x.items.rows(["old", "new", "for-old", "for-new"])
    scores = model.score_one(History.of([old, new], times=[1.0, 2.0]))
    assert scores[for_new] == pytest.approx(2 ** (1 / 2) * scores[for_old], rel=1e-3)


@pytest.mark.parametrize("name", ["user_knn", "session_knn"])
def test_lists_of_takers_are_cut_to_a_seeded_sample(name):
    x = two_tastes(60)
    trainer = make_trainer(name, {"takers": 5})
    pasts = trainer.fit(x, FitOptions(seed=3)).pasts

    lengths = np.diff(pasts.item_starts)
    assert (lengths == np.minimum(x.item_counts, 5)).all()
    for item in range(20):
        span = slice(pasts.item_starts[item], pasts.item_starts[item + 1])
        assert (pasts.rows[pasts.taker_events[span]] == item).all()
        assert (x.user_rows[pasts.taker_events[span]] == pasts.takers[span]).all()
    again = trainer.fit(x, FitOptions(seed=4)).pasts
    assert not np.array_equal(pasts.takers, again.takers)
