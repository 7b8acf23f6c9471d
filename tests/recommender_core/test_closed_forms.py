"""Answers worked out independently of the models."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from recommender.core.data import History, IdMap
from recommender.core.models.ials import IALS, IALSConfig
from recommender.core.models.neighbours import PRIOR
from recommender.core.training.base import FitOptions
from recommender.core.training.content import item_features
from recommender.core.training.ials import IALSTrainer
from recommender.core.training.mf import side_by_side
from recommender.core.training.registry import make_trainer
from tests.recommender_core.conftest import FAST, described, events, two_tastes

HALF = 5e-4  # relative rounding of the stored weights (float16)


def test_popular_counts_and_forgets_by_half_lives():
    day = 86_400.0
    x = events([("u", "a", 0.0), ("v", "a", 0.0), ("u", "b", 10 * day)])

    plain = make_trainer("popular").fit(x, FitOptions())
    assert plain.score_one(x.history(0)).tolist() == pytest.approx(np.log1p([2, 1]).tolist())
    fading = make_trainer("popular", {"half_life_days": 5}).fit(x, FitOptions())
    assert fading.score_one(x.history(0)).tolist() == pytest.approx(np.log1p([0.5, 1]).tolist())


def test_ease_on_three_items_is_the_matrix_inverse():
    # users: {a, b}, {a, b, c}, {c}; XᵀX = [[2, 2, 1], [2, 2, 1], [1, 1, 2]], ridge 1
    x = events([("u", "a", None), ("u", "b", None), ("v", "a", None), ("v", "b", None),
                ("v", "c", None), ("w", "c", None)])  # fmt: skip
    precision = np.linalg.inv(np.array([[3, 2, 1], [2, 3, 1], [1, 1, 3]], float))
    wanted = -precision / np.diag(precision)
    np.fill_diagonal(wanted, 0)

    model = make_trainer("ease", {"regularization": 1.0}).fit(x, FitOptions())
    scores = model.score_one(History.of([0, 2])) - PRIOR * model.popularity

    assert scores.tolist() == pytest.approx((wanted[0] + wanted[2]).tolist(), rel=2 * HALF)


def test_ease_is_the_same_by_the_users_side_and_by_the_items_side():
    few, many = two_tastes(8), two_tastes(60)
    for x in (few, many):  # 8 users < 20 items: Woodbury; 60 > 20: the item matrix itself
        matrix = np.zeros((len(x.users), len(x.items)))
        matrix[x.user_rows, x.item_rows] = 1
        precision = np.linalg.inv(matrix.T @ matrix + 2 * np.eye(len(x.items)))
        wanted = -precision / np.diag(precision)
        np.fill_diagonal(wanted, 0)
        model = make_trainer("ease", {"regularization": 2.0, "half_life": 0}).fit(x, FitOptions())

        scores = model.score_one(x.history(0)) - PRIOR * model.popularity
        assert scores.tolist() == pytest.approx((matrix[0] @ wanted).tolist(), abs=6 * HALF)


def dense(lists):
    """[items, items]."""
    full = np.zeros((len(lists.starts) - 1,) * 2, np.float32)
    for row, (first, last) in enumerate(itertools.pairwise(lists.starts.tolist())):
        full[row, lists.columns[first:last]] = lists.values[first:last]
    return full


@pytest.mark.parametrize("users", [8, 60])  # fewer and more than the 20 items
def test_a_ridge_by_the_takers_of_an_item_is_that_diagonal(users):
    x = two_tastes(users)
    matrix = np.zeros((len(x.users), len(x.items)))
    matrix[x.user_rows, x.item_rows] = 1
    takers = matrix.sum(axis=0)
    assert len(set(takers.tolist())) > 1
    precision = np.linalg.inv(matrix.T @ matrix + np.diag(2 * (takers / takers.mean()) ** 0.5))
    wanted = -precision / np.diag(precision)
    np.fill_diagonal(wanted, 0)
    params = {"regularization": 2.0, "half_life": 0, "item_power": 0.5}
    model = make_trainer("ease", params).fit(x, FitOptions())

    scores = model.score_one(x.history(0)) - PRIOR * model.popularity
    assert scores.tolist() == pytest.approx((matrix[0] @ wanted).tolist(), abs=6 * HALF)


@pytest.mark.parametrize("users", [8, 60])
def test_content_stands_beside_the_users_as_further_rows(users):
    x = described(two_tastes(users))
    matrix = np.zeros((len(x.users), len(x.items)))
    matrix[x.user_rows, x.item_rows] = 1
    features = item_features(x.table).astype(float)
    rows = np.vstack([matrix, np.sqrt(3.0) * features.T])
    takers = matrix.sum(axis=0)
    precision = np.linalg.inv(rows.T @ rows + np.diag(2 * takers / takers.mean()))
    wanted = -precision / np.diag(precision)
    np.fill_diagonal(wanted, 0)
    params = {"regularization": 2.0, "half_life": 0, "item_power": 1.0, "content": 3.0}
    model = make_trainer("ease", params).fit(x, FitOptions())

    scores = model.score_one(x.history(0)) - PRIOR * model.popularity
    assert scores.tolist() == pytest.approx((matrix[0] @ wanted).tolist(), abs=6 * HALF)


def test_content_of_an_item_without_any_is_that_of_its_users_alone():
    x = two_tastes(60)
    told, plain = (make_trainer("ease", {"content": c}).fit(x, FitOptions()) for c in (3.0, 0.0))

    assert np.array_equal(told.score_one(x.history(0)), plain.score_one(x.history(0)))


def test_cutting_to_short_lists_keeps_the_strongest_and_tells_the_loss():
    x = two_tastes(60)
    whole = make_trainer("ease", {"regularization": 2.0, "neighbours": 20}).fit(x, FitOptions())
    cut = make_trainer("ease", {"regularization": 2.0, "neighbours": 5}).fit(x, FitOptions())

    full = dense(whole.weights)
    strongest = np.sort(np.abs(full), axis=1)[:, -5:]
    assert np.sort(np.abs(dense(cut.weights)), axis=1)[:, -5:] == pytest.approx(strongest)
    assert np.diff(cut.weights.starts).tolist() == np.count_nonzero(strongest, axis=1).tolist()
    assert cut.facts()["cut_loss"] == pytest.approx(
        1 - np.sum(strongest.astype(float) ** 2) / np.sum(full.astype(float) ** 2), abs=2 * HALF
    )


def test_transitions_are_directed():
    rows = [(f"u{n}", item, float(n * 10 + t)) for n in range(9) for t, item in enumerate("abc")]
    x = events(rows)
    model = make_trainer("transitions", {"step_share": 1.0}).fit(x, FitOptions())
    a, b, c = (model.score_one(History.of([row], times=[1.0])) for row in range(3))

    assert a[1] > a[2] > a[0]  # one step to b, two steps to c, never back
    assert b[2] > b[0]
    assert c.max() < 1e-3


def test_a_step_within_one_second_counts_half_each_way():
    x = events([("u", "a", 5.0), ("u", "b", 5.0)])
    model = make_trainer("transitions", {"step_share": 1.0}).fit(x, FitOptions())
    a, b = (model.score_one(History.of([row], times=[1.0])) for row in range(2))

    assert a[1] == pytest.approx(b[0])
    assert a[1] > 0.1


@pytest.fixture
def ials():
    factors = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    gram = factors.T @ factors + 0.5 * np.eye(4, dtype=np.float32)
    config = IALSConfig(factors=4, alpha=2.0, regularization=0.5, half_life=0.0)
    items = IdMap.from_ids("abcdef")
    return IALS(config, items, factors, gram, np.zeros(6, np.float32))


def test_fold_in_solves_the_weighted_least_squares(ials):
    y = ials.item_factors.astype(float)
    confidence = np.ones(6)
    confidence[[1, 4]] += 2.0 * np.array([1.0, 0.5])
    liked = np.zeros(6)
    liked[[1, 4]] = 1
    wanted = np.linalg.solve(
        y.T @ (confidence[:, None] * y) + 0.5 * np.eye(4), y.T @ (confidence * liked)
    )

    history = History.of([1, 4], [1.0, 0.5])
    assert ials.fold_in(history).tolist() == pytest.approx(wanted.tolist(), rel=1e-4)
    assert ials.score_one(history).tolist() == pytest.approx((y @ wanted).tolist(), rel=1e-4)


def test_alternating_reaches_the_fixed_point_of_exact_solves():
    x = two_tastes(40)
    config = IALSConfig(factors=6, iterations=200, alpha=3.0, regularization=1.0, half_life=0)
    model = IALSTrainer(config).fit(x, FitOptions())
    users = np.stack([model.fold_in(history) for history in x.histories()]).astype(float)

    for item in range(20):  # each item's factors solve its own least squares given the users
        known = users[x.user_rows[x.item_rows == item]]
        left = users.T @ users + 3.0 * known.T @ known + np.eye(6)
        wanted = np.linalg.solve(left, 4.0 * known.sum(0))
        assert model.item_factors[item] == pytest.approx(wanted, abs=2e-3)


def test_an_items_ridge_grows_with_its_users():
    x = two_tastes(40).take(np.arange(len(two_tastes(40))) % 5 > 0)
    x = x.take((x.item_rows > 3) | (x.user_rows % 3 == 0))  # some items are rare
    told = {"factors": 6, "iterations": 200, "regularization": 2.0, "half_life": 0.0}
    model = make_trainer("ials", {**told, "item_power": 0.5}).fit(x, FitOptions())
    users = np.stack([model.fold_in(history) for history in x.histories()]).astype(float)

    assert len(set(x.item_counts.tolist())) > 3
    for item in range(20):
        known = users[x.user_rows[x.item_rows == item]]
        ridge = 2.0 * np.sqrt(len(known) / (len(x) / 20))
        left = users.T @ users + 3.0 * known.T @ known + ridge * np.eye(6)
        wanted = np.linalg.solve(left, 4.0 * known.sum(0))
        assert model.item_factors[item] == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize(
    "name",
    [
        "user_knn",
        "session_knn",
        "ials",
        "ease",
        "transitions",
        "history_tower",
        "lightgcn",
        "two_tower",
    ],
)
def test_contributions_add_up_to_the_score(name):
    x = two_tastes()
    model = make_trainer(name, FAST[name]).fit(x, FitOptions())
    rows = np.arange(20, dtype=np.int32)
    rest = "bias" if name in {"history_tower", "lightgcn", "two_tower"} else "popularity"
    constant = model.arrays()[rest] * (1 if rest == "bias" else PRIOR if name != "ials" else 0)

    for user in (0, 7):
        history = x.history(user)
        summed = model.contributions(history, rows).sum(axis=1) + constant
        assert summed == pytest.approx(model.score_one(history), abs=1e-4)


def test_explanations_of_a_blend_are_the_weighted_sum_of_its_members():
    from recommender.core.models.ensemble import Ensemble

    x = two_tastes()
    parts = [make_trainer(n, FAST[n]).fit(x, FitOptions()) for n in ("ials", "history_tower")]
    blend = Ensemble(x.items, tuple(parts), (0.25, 0.75))
    history, rows = x.history(2), np.array([3, 8], np.int32)

    wanted = sum(
        weight * part.contributions(history, rows) / part.score_one(history).std()
        for part, weight in zip(parts, (0.25, 0.75), strict=True)
    )
    assert blend.contributions(history, rows) == pytest.approx(wanted, rel=1e-4)


def test_ratings_are_learned_and_unknown_ids_get_the_mean():
    # stars = 3 ± 1 by user ± 1 by item
    rows = [(f"u{u}", f"i{i}", 1.0) for u in range(20) for i in range(20)]
    stars = [
        3.0 + (1 if u % 2 else -1) + (1 if i % 2 else -1) for u in range(20) for i in range(20)
    ]
    x = events(rows, stars=stars)
    model = make_trainer("mf", {"factors": 2}).fit(x, FitOptions())

    rated = model.rate(np.array([1, 0, -1, -1], np.int32), np.array([1, 0, 1, -1], np.int32))
    assert rated.tolist() == pytest.approx([5.0, 1.0, 4.0, 3.0], abs=0.25)
    assert rated.max() <= 5.0


def test_samples_side_by_side_multiply_to_the_mean_of_their_products():
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(5, 7, 3)), rng.normal(size=(5, 4, 3))  # 5 samples
    wanted = np.mean(
        [u[:, :1] + i[:, 0] + u[:, 1:] @ i[:, 1:].T for u, i in zip(users, items, strict=True)],
        axis=0,
    )
    u, i = (side_by_side(list(side.astype(np.float32))) for side in (users, items))

    assert u[:, :1] + i[:, 0] + u[:, 1:] @ i[:, 1:].T == pytest.approx(wanted, abs=1e-5)


def test_the_mean_of_many_samples_predicts_better_than_one():
    rng = np.random.default_rng(1)
    taste, kind = rng.normal(size=(60, 2)), rng.normal(size=(40, 2))
    rows = [(f"u{u}", f"i{i}", 1.0) for u in range(60) for i in range(40) if rng.random() < 0.4]
    truth = {(f"u{u}", f"i{i}"): 3 + taste[u] @ kind[i] for u in range(60) for i in range(40)}
    stars = [truth[user, item] + rng.normal() for user, item, _ in rows]
    x = events(rows, stars=stars)
    users, items = zip(*truth, strict=True)
    asked = x.users.rows(users), x.items.rows(items)

    def error(**params: int) -> float:
        model = make_trainer("mf", {"factors": 2, **params}).fit(x, FitOptions())
        return float(np.sqrt(np.mean((model.rate(*asked) - np.array(list(truth.values()))) ** 2)))

    assert error(samples=48) < 0.8 * error(samples=1)
