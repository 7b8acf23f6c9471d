"""Lists of many users at once are the lists of each alone."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.core.data import History, IdMap
from recommender.core.metrics import rankings
from recommender.core.models.factors import best_by_factors
from recommender.core.models.ials import IALS, IALSConfig, whitening
from recommender.core.models.recency import recencies, recency
from recommender.core.serving import top_k
from recommender.core.training.auto import fit_auto
from recommender.core.training.base import FitOptions
from recommender.core.training.candidates import AutoConfig
from recommender.core.training.registry import make_trainer
from tests.recommender_core.conftest import FAST, two_tastes

N, F = 900, 16


def one_by_one(model, histories, k, hidden, order=None):
    """Scores of each alone, ranked by plain Python: higher first, then by place."""
    lists = []
    for history, gone in zip(histories, hidden, strict=True):
        scores = model.score_one(history)
        places = range(len(scores)) if order is None else np.argsort(order).tolist()
        left = sorted(set(range(len(scores))) - set(gone.tolist()))
        rows = sorted(left, key=lambda row: (-scores[row], places[row]))[:k]
        lists.append((rows, scores[rows].tolist()))
    return lists


def as_lists(found):
    return [(rows.tolist(), scores.tolist()) for rows, scores in found]


@pytest.fixture(scope="module")
def ials():
    """Each of the last 300 items is the twin of another, so that scores tie exactly."""
    factors = np.random.default_rng(1).normal(0, 0.3, (N, F)).astype(np.float32)
    factors[600:] = factors[:300]
    gram = factors.T @ factors + 2 * np.eye(F, dtype=np.float32)
    popularity = np.arange(N, dtype=np.float32) % 7
    config = IALSConfig(factors=F, alpha=3.0, regularization=2.0)
    return IALS(config, IdMap.from_ids(map(str, range(N))), factors, gram, popularity)


@pytest.fixture(scope="module")
def histories():
    rng = np.random.default_rng(2)
    found = [
        History.of(rng.choice(N, n, replace=False), rng.random(n), np.arange(n) // (1 + n % 3))
        for n in rng.integers(1, 40, 60)
    ]
    untimed = History.of([5, 9, 800], [1.0, 2.0, 0.5])
    return [*found, untimed, History.of([]), History.of([-1, N], times=[1.0, 2.0]),
            History.of([-1, 3, N, 7], times=[1.0, 1.0, 2.0, 3.0])]  # fmt: skip


@pytest.mark.parametrize("ordered", [False, True])
def test_ials_ranks_many_users_exactly_as_each_alone(ials, histories, ordered):
    order = np.random.default_rng(3).permutation(N) if ordered else None
    hidden = [history.rows for history in histories]
    hidden[4] = np.arange(N - 3)  # fewer left than asked for
    hidden[5] = np.zeros(0, np.int32)

    found = as_lists(ials.best(histories, 10, hidden, order))

    assert found == one_by_one(ials, histories, 10, hidden, order)
    assert len(found[4][0]) == 3


def test_most_users_need_not_be_scored_alone(ials, histories):
    users = ials.fold_in_many(histories[:60])
    hidden = [history.rows for history in histories[:60]]

    assert sum(one is None for one in best_by_factors(ials.item_factors, users, 10, hidden)) == 0


def test_users_whom_nothing_tells_apart_are_handed_back():
    same = np.ones((N, F), np.float32)
    hidden = [np.zeros(0, np.int32)]

    assert best_by_factors(same, np.ones((1, F), np.float32), 10, hidden) == [None]
    assert best_by_factors(same, np.ones((1, F), np.float32), N // 3, hidden) == [None]


def test_users_folded_in_together_get_the_bits_of_each_alone(ials, histories):
    together = ials.fold_in_many(histories)
    alone = np.stack([ials.fold_in(history) for history in histories])

    assert np.array_equal(together, alone)


@pytest.mark.parametrize("regularization", [2.0, 1e-3])
@pytest.mark.parametrize("weight", [1.0, 1e4])
def test_folding_in_solves_the_least_squares_however_strong_the_history(
    ials, histories, regularization, weight
):
    y = ials.item_factors.astype(float)
    gram = y.T @ y + regularization * np.eye(F)
    config = IALSConfig(factors=F, alpha=3.0, regularization=regularization, half_life=0.0)
    model = IALS(config, ials.items, ials.item_factors, gram.astype(np.float32), ials.popularity)

    for history in histories[:20]:
        strong = History.of(history.rows, history.weights * weight)
        known, confidence = y[strong.rows], 3.0 * strong.weights.astype(float)
        left = gram + known.T @ (confidence[:, None] * known)
        wanted = y @ np.linalg.solve(left, known.T @ (1 + confidence))
        assert model.score_one(strong) == pytest.approx(wanted, abs=2e-3 * np.abs(wanted).max())


def test_the_basis_of_folding_in_makes_the_gram_matrix_the_identity(ials):
    basis = whitening(ials.gram)
    assert basis.T @ ials.gram.astype(float) @ basis == pytest.approx(np.eye(F), abs=1e-9)
    assert np.isfinite(whitening(np.ones((3, 3), np.float32))).all()


def test_recency_of_many_is_the_recency_of_each(histories):
    alike = [history for history in histories if len(history) == len(histories[0])]
    alike += [History.of(histories[0].rows), History.of(histories[0].rows, times=alike[0].rows)]

    for half_life in (0.0, 3.0):
        found = recencies(alike, half_life)
        assert np.array_equal(found, np.stack([recency(one, half_life) for one in alike]))


@pytest.mark.parametrize("name", FAST)
def test_every_model_ranks_many_users_as_each_alone(name):
    from recommender.core.training.base import FitOptions

    x = two_tastes()
    model = make_trainer(name, FAST[name]).fit(x, FitOptions())
    users = [*x.histories(), History.of([]), History.of([-1, 99], times=[1.0, 2.0])]
    hidden = [past.rows for past in users]
    order = np.random.default_rng(0).permutation(len(x.items))

    for way in (None, order):
        assert as_lists(model.best(users, 5, hidden, way)) == one_by_one(
            model, users, 5, hidden, way
        )


def test_rankings_leave_out_what_is_named_as_seen():
    from recommender.core.training.base import FitOptions

    x = two_tastes()
    model = make_trainer("ials", FAST["ials"]).fit(x, FitOptions())
    half = x.take(np.arange(len(x)) % 2 == 0)

    found = rankings(model, half, [0, 7], 5, seen=x)

    for user, rows in zip((0, 7), found, strict=True):
        wanted = top_k(model.score_one(half.history(user)), 5, x.history(user).rows)
        assert rows.tolist() == wanted.tolist()


def test_scoring_many_leaves_nothing_behind_in_their_histories():
    x = two_tastes(200)
    stack = fit_auto(x, AutoConfig(candidates=("popular", "ease", "session_knn"))).model
    histories = x.histories(range(50))
    stack.score_one(histories[0])
    assert histories[0].noted  # what an explanation would ask for next

    stack.best(histories, 5, [one.rows for one in histories])
    assert [one.noted for one in histories] == [{}] * 50


@pytest.mark.parametrize("name", ["ease", "item_knn", "transitions"])
def test_what_a_history_notes_of_one_model_serves_no_other(name):
    x = two_tastes()
    history = x.history(3)
    asked = np.arange(5, dtype=np.int32)

    for n in range(12):  # each model may lie where the one before it lay
        part = x.take(np.random.default_rng(n).random(len(x)) < 0.7)
        model = make_trainer(name).fit(part, FitOptions())
        fresh = x.history(3)
        assert model.score_one(history).tolist() == model.score_one(fresh).tolist()
        told = model.contributions(history, asked), model.contributions(fresh, asked)
        assert told[0].tolist() == told[1].tolist()
        del model
