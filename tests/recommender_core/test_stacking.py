"""Stacks: what they know about items, what they learn, and how they explain it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from recommender.core.artifacts import load_artifact, save_artifact
from recommender.core.data import History, ItemTable
from recommender.core.models.stack import Mix, Stack
from recommender.core.splits import leave_last_out
from recommender.core.training.auto import fit_auto
from recommender.core.training.base import FitOptions
from recommender.core.training.blending import Board, board, greedy_weights, standings
from recommender.core.training.candidates import AutoConfig, candidates
from recommender.core.training.fits import Fits
from recommender.core.training.item_facts import item_facts
from recommender.core.training.registry import make_trainer
from recommender.core.training.stacking import Stacking, stack_weights
from recommender.recipes import make_again, recipe_of
from tests.recommender_core.conftest import described, events, two_tastes

DAY = 86_400.0


def small_board(z, wanted, lengths, stands_for=None):
    """Three items a user."""
    z = np.array(z, np.float32)
    users = len(z) // 3
    return Board(
        z,
        np.zeros((len(z), 0), np.float32),
        np.ones(len(z), np.float32) if stands_for is None else np.array(stands_for, np.float32),
        3 * np.arange(users),
        np.array([3 * user + row for user, row in enumerate(wanted)]),
        np.array(lengths),
    )


def test_a_board_judges_ranks_with_equals_in_any_order_and_samples_for_many():
    one = np.array([[0.0]] * 12, np.float32)
    held = small_board(one, [0, 0, 0, 2], [1, 1, 1, 1], [1, 1, 1] * 3 + [1, 8, 1])
    scores = np.array([3, 2, 1, 2, 3, 1, 1, 1, 1, 0, 5, 1], np.float32)

    ranks = [0, 1, 1, 8]  # best; second; between two equals; behind one that stands for eight
    assert held.judged(scores, 10, "ndcg") == pytest.approx([1 / np.log2(r + 2) for r in ranks])
    assert held.judged(scores, 2, "hr").tolist() == [1, 1, 1, 0]
    assert held.judged(scores, 1, "recall").tolist() == [1, 0, 0, 0]


def test_several_held_items_share_one_ideal():
    held = small_board([[0.0]] * 3, [0], [1])
    held = replace(held, relevant=np.array([0, 2]))
    scores = np.array([3, 2, 1], np.float32)

    wanted = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert held.judged(scores, 10, "ndcg").tolist() == pytest.approx([wanted])
    assert held.judged(scores, 1, "recall").tolist() == [0.5]


def test_stack_weights_are_the_minimum_of_the_ridged_listwise_loss():
    from scipy.optimize import minimize

    rng = np.random.default_rng(4)
    users = 80
    z = rng.normal(size=(3 * users, 2))
    stands = np.tile([1, 1, 5], users)
    held = small_board(z, rng.integers(0, 2, users), rng.integers(1, 30, users), stands)
    held = replace(held, facts=rng.normal(size=(3 * users, 1)).astype(np.float32))
    stacking = Stacking.of(held)
    logs = np.log1p(held.lengths)
    line = np.repeat((logs - logs.mean()) / logs.std(), 3)
    columns = np.hstack([z, np.sign(z) * np.log1p(np.abs(z)), held.facts])

    def loss(flat):
        level, slope = flat.reshape(2, 5)
        scores = columns @ level + line * (columns @ slope)
        each = (np.exp(scores) * stands).reshape(users, 3).sum(1)
        told = np.log(each).sum() - scores[held.relevant].sum()
        ridge = np.array([50, 50, 2, 2, 0.5])
        return told + ridge @ level**2 + 10 * ridge @ slope**2

    found = stack_weights(stacking, np.ones(users, bool))
    wanted = minimize(loss, np.zeros(10), method="BFGS").x
    assert loss(found.ravel()) == pytest.approx(loss(wanted), rel=1e-4)
    assert found.ravel() == pytest.approx(wanted, abs=0.02)


def test_a_stack_finds_out_who_is_right_for_short_and_for_long_histories():
    rng = np.random.default_rng(2)
    users = 900
    z, wanted, lengths = rng.normal(size=(3 * users, 2)), [], []
    for user in range(users):
        long = user % 2
        wanted.append(int(np.argmax(z[3 * user : 3 * user + 3, long])))
        lengths.append(60 if long else 2)
    stacking = Stacking.of(small_board(z, wanted, lengths))
    mix = stacking.mix(stack_weights(stacking, np.ones(users, bool)))

    for length, right in ((2, 0), (60, 1)):
        straight, curved, _ = mix.weights(length)
        both = straight + curved
        assert both[right] > 3 * abs(both[1 - right])
    assert mix.weights(2000)[0].tolist() == mix.weights(60)[0].tolist()  # none beyond what it saw


def test_greedy_selection_never_falls_behind_the_best_single_model():
    rng = np.random.default_rng(3)
    users = 200
    z = rng.normal(size=(3 * users, 3))
    wanted = [
        int(np.argmax(z[3 * u : 3 * u + 3, 1] + z[3 * u : 3 * u + 3, 2])) for u in range(users)
    ]
    held = small_board(z, wanted, np.ones(users, int))
    weights = greedy_weights(held, np.ones(users, bool), 1, "hr")

    best = max(held.judged(held.z[:, n], 1, "hr").mean() for n in range(3))
    assert weights.sum() == pytest.approx(1)
    assert held.judged(held.z @ weights.astype(np.float32), 1, "hr").mean() >= best
    assert weights[0] < min(weights[1:])


def test_what_competes_holds_the_wanted_item_and_nothing_seen():
    split = leave_last_out(two_tastes(60), min_events=2)
    model = make_trainer("ease").fit(split.train, FitOptions())
    stood = [standings(model, split.train, split.held)]
    found = board(stood, split.train, split.held, item_facts(split.train), 0)

    assert len(found) == 60
    assert len(found.z) == 60 * (20 - 5)  # of a small catalogue everything unseen
    assert (found.stands_for == 1).all()
    scores = model.score_one(split.train.history(0))
    z = (scores - scores.mean()) / scores.std()
    held = split.held.item_rows[0][0]
    assert found.z[found.relevant[0], 0] == pytest.approx(z[held], rel=2e-3)


def test_facts_of_a_moment_know_nothing_later():
    rows = [(f"u{n}", "old", n * DAY) for n in range(50)]
    rows += [(f"u{n}", "new", n * DAY + 1) for n in range(40, 50)]
    x = events(rows, more_items=("never",))
    facts = item_facts(x)
    old, new, never = x.items.rows(["old", "new", "never"])

    early = facts.columns(History.of([old], times=[20 * DAY]))
    assert early[old, 3] == pytest.approx(np.log1p(20) / 5)
    assert early[new, 4] == pytest.approx(np.log1p(20 + 1 / DAY) / 5)  # first taken on day 40
    assert early[new, 1] == early[never, 1]  # nobody had taken it yet
    now = facts.columns(History.of([old], times=[20 * DAY], now=60 * DAY))
    assert now[new, 4] == 0
    assert now[new, 1] > now[never, 1]
    assert facts.columns(History.of([])).tolist() == facts.columns(
        History.of([], now=49 * DAY + 1)
    ).tolist()  # fmt: skip
    without = item_facts(replace(x, times=None))
    assert without.columns(History.of([old])).shape == (3, 1)


@pytest.mark.parametrize("asked", [None, 0, 20.5 * DAY, 49 * DAY + 1, 50 * DAY, 90 * DAY])
def test_facts_score_as_their_columns_weigh(asked):
    rows = [(f"u{n}", f"i{n % 7}", n * DAY) for n in range(50)]
    x = events(rows, more_items=("never",))
    weights = np.array([0.5, -1.0, 2.0, 0.7, -0.3], np.float32)

    for facts in (item_facts(x), item_facts(replace(x, times=None))):
        for past in (History.of([1], times=[3 * DAY], now=asked), History.of([], now=asked)):
            columns = facts.columns(past)
            wanted = columns @ weights[: columns.shape[1]]
            assert facts.score(past, weights) == pytest.approx(wanted, abs=1e-5)


def test_a_stack_explains_its_score_exactly_up_to_what_the_history_did_not_make():
    x = two_tastes(60)
    parts = tuple(
        make_trainer(name, params).fit(x, FitOptions())
        for name, params in (("ease", {"regularization": 2.0}), ("ials", {"factors": 8}))
    )
    facts = item_facts(x)
    mix = Mix(
        ((0.5, -0.2), (0.1, 0.0)),
        ((1.5, 0.4), (0.0, 0.2)),
        ((0.3,) * facts.width, (0.0,) * facts.width),
        (1.9, 0.4, 1.0, 3.0),
    )
    stack = Stack(x.items, parts, mix, facts)
    history, rows = x.history(5), np.array([0, 3, 8, 11], np.int32)

    straight, curved, about = mix.weights(len(history))
    wanted = np.zeros(len(rows))
    total = facts.columns(history)[rows] @ about
    for part, line, bend in zip(parts, straight, curved, strict=True):
        scores = part.score_one(history).astype(float)
        deviation, mean = scores.std(), scores.mean()
        made = part.contributions(history, rows).sum(axis=1)

        def worth(s, line=line, bend=bend, mean=mean, deviation=deviation):
            z = (s - mean) / deviation
            return line * z + bend * np.sign(z) * np.log1p(np.abs(z))

        wanted += worth(scores[rows]) - worth(scores[rows] - made)
        total += worth(scores[rows])
    found = stack.score_one(history)
    assert found.mean() == pytest.approx(0, abs=1e-5)
    assert found[rows] - found[0] == pytest.approx(total - total[0], rel=1e-4, abs=1e-4)
    assert stack.contributions(history, rows).sum(axis=1) == pytest.approx(wanted, abs=2e-3)


def test_variants_that_differ_in_scoring_alone_are_fitted_once_and_score_as_if_fitted():
    x = two_tastes(40)
    fits = Fits(x)
    first = fits.fit("ials", {"factors": 8}, FitOptions())
    second = fits.fit("ials", {"factors": 8, "half_life": 0.0}, FitOptions())
    alone = make_trainer("ials", {"factors": 8, "half_life": 0.0}).fit(x, FitOptions())

    assert second.item_factors is first.item_factors
    assert second.params() == alone.params()
    assert np.array_equal(second.score_one(x.history(3)), alone.score_one(x.history(3)))


@pytest.mark.parametrize("timed", [True, False])
def test_auto_stacks_or_not_by_users_that_taught_it_nothing(timed):
    x = two_tastes(200, timed=timed)
    names = ("popular", "ease", "user_knn")
    fitted = fit_auto(x, AutoConfig(candidates=names))

    values = fitted.chosen["candidates"]
    assert {"popular", "ease", "user_knn", "blend", "stack"} <= set(values)
    deciding = "ndcg@10" if timed else "recall@20"
    assert fitted.metrics[deciding] == pytest.approx(values[fitted.chosen["kind"]])
    assert fitted.metrics[deciding] > 0.9 * max(values.values())
    assert sum(fitted.chosen["weights"].values()) == pytest.approx(1, abs=0.1)


def test_too_few_users_are_blended_but_not_stacked():
    fitted = fit_auto(two_tastes(30), AutoConfig(candidates=("popular", "ease")))

    assert "stack" not in fitted.chosen["candidates"]
    assert "blend" in fitted.chosen["candidates"]


def test_without_times_a_stack_keeps_eight_members_and_the_heaviest():
    many = AutoConfig(candidates=("popular", "ials", "user_knn", "item_knn", "ease"))
    chosen = fit_auto(two_tastes(200, timed=False), many).chosen

    assert chosen["kind"] == "stack"
    assert len(chosen["candidates"]) == 12 + 2  # with the blend and the stack
    assert len(chosen["weights"]) == 8  # more have 3 % or more
    assert min(chosen["weights"].values()) > 0.06


def test_content_is_tried_where_there_is_some_and_there_are_no_times():
    plain, timed = two_tastes(30, timed=False), described(two_tastes(30))
    blank = replace(plain, table=ItemTable(titles=[""] * 20, texts=[""] * 20))
    for x, wanted in ((described(plain), 2), (plain, 0), (blank, 0), (timed, 0)):
        tried, _ = candidates(AutoConfig(), x, {})
        assert sum("content" in candidate.params for candidate in tried) == wanted


@pytest.mark.parametrize("name", ["ease", "item_knn"])
def test_with_user_power_one_every_user_weighs_the_same(name):
    # u's four items against three users who took a and c alone
    rows = [("u", item, None) for item in "abde"]
    rows += [(user, item, None) for user in "vwx" for item in "ac"]
    x = events(rows)
    matrix = np.zeros((4, 5))
    matrix[x.user_rows, x.item_rows] = 1
    shares = matrix.sum(1) ** -1.0
    shares /= (matrix * shares[:, None]).sum() / matrix.sum()
    gram = matrix.T @ (shares[:, None] * matrix)
    if name == "ease":
        precision = np.linalg.inv(gram + 2 * np.eye(5))
        wanted = -precision / np.diag(precision)
    else:
        root = np.sqrt(np.diag(gram))
        wanted = gram / (root[:, None] * root + 2)
    np.fill_diagonal(wanted, 0)

    params = {"regularization": 2.0, "user_power": 1.0}
    model = make_trainer(name, params).fit(x, FitOptions())
    scores = model.score_one(History.of([0])) - np.float32(1e-4) * model.popularity
    assert scores == pytest.approx(wanted[0], abs=2e-3)


@pytest.mark.parametrize("timed", [True, False])
def test_a_stack_is_stored_and_made_again_from_its_recipe(timed, tmp_path):
    x = two_tastes(200, timed=timed)
    stack = fit_auto(x, AutoConfig(candidates=("popular", "ease", "user_knn"))).model
    assert stack.name == "stack"
    scores = stack.score(x.histories(range(9)))

    save_artifact(stack, tmp_path / "m")
    assert np.array_equal(load_artifact(tmp_path / "m").score(x.histories(range(9))), scores)
    recipe = json.loads(json.dumps(recipe_of(stack)))
    again = make_again(recipe, x, FitOptions())
    assert np.array_equal(again.score(x.histories(range(9))), scores)
    assert recipe_of(again) == recipe
