"""Metrics and splits, with values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recommender.core.errors import BadParams, DatasetError
from recommender.core.evaluation import evaluate
from recommender.core.judging import gini, list_metrics, surprise
from recommender.core.metrics import Held, gains
from recommender.core.splits import Split, global_time, leave_last_out, random_share, without
from recommender.core.training.base import FitOptions
from tests.recommender_core.conftest import events, two_tastes


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


def test_gains_of_one_list():
    # relevant 7 and 9; 7 stands third, 9 is beyond the cut
    found = gains(rows(1, 2, 7, 3, 9), [7, 9], 4)

    ideal = 1 + 1 / math.log2(3)
    assert found == pytest.approx({"hr": 1, "ndcg": 0.5 / ideal, "mrr": 1 / 3, "recall": 0.5})


def test_gains_of_a_list_without_a_hit_or_without_anything_relevant():
    nothing = {"hr": 0, "ndcg": 0, "mrr": 0, "recall": 0}
    assert gains(rows(1, 2), [5], 2) == nothing
    assert gains(rows(1, 2), [], 2) == nothing
    assert gains(rows(), [5], 2) == nothing


def test_gini_is_0_for_equal_exposure_and_grows_with_concentration():
    assert gini(np.array([3, 3, 3, 3])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 12])) == pytest.approx(0.75)  # (n - 1) / n: one item has all
    assert gini(np.zeros(4, np.int64)) == 0


def test_novelty_is_the_surprise_of_an_item_in_bits():
    x = events([("u", "a", 1.0), ("v", "a", 2.0), ("w", "a", 3.0), ("t", "a", 4.0),
                ("u", "b", 5.0)], more_items=("cold",))  # fmt: skip
    # a is known to 4 of 4 people, b to 1 of 4; nobody knows `cold`: as if one did
    assert surprise(x).tolist() == [0, 2, 2]


def test_list_metrics_are_means_over_the_held_out_users():
    x = events([("u", "a", 1.0), ("v", "b", 2.0)], more_items=("c", "d"))
    split = Split(x, Held([0, 1], [[2], [3]]))

    found = list_metrics([rows(2, 1), rows(0, 2)], split, 2)

    assert found["hr@2"] == 0.5
    assert found["ndcg@2"] == 0.5
    assert found["mrr@2"] == 0.5
    assert found["recall@20"] == 0.5
    assert found["coverage@2"] == 0.75  # a, b and c were shown, d was not
    assert found["novelty@2"] == 1  # every item is known to one of two people or to none


def test_leave_last_out_takes_the_newest_of_users_with_three_events():
    x = events(
        [("u", "a", 3.0), ("u", "b", 1.0), ("u", "c", 2.0), ("v", "a", 1.0), ("v", "b", 2.0)]
    )
    split = leave_last_out(x)

    assert split.held.user_rows == [0]
    assert split.held.item_rows == [[0]]  # a, at time 3
    assert sorted(split.train.item_rows[split.train.user_rows == 0].tolist()) == [1, 2]
    assert len(split.train) == 4  # v keeps both


def test_the_random_split_holds_a_fifth_of_each_user_and_repeats_with_its_seed():
    x = two_tastes(20, timed=False)
    split, again, other = random_share(x, 1), random_share(x, 1), random_share(x, 2)

    assert all(len(items) == 1 for items in split.held.item_rows)  # round(6 * .2)
    assert split.held == again.held
    assert split.held != other.held
    for user, items in zip(split.held.user_rows, split.held.item_rows, strict=True):
        assert not set(items) & set(split.train.history(user).rows.tolist())


def test_without_some_users_pairs_all_others_are_learned_from_whole():
    x = events([("u", "a", None), ("u", "b", None), ("v", "a", None), ("v", "b", None),
                ("w", "b", None)])  # fmt: skip
    left = without(x, Held([1], [[1]]))  # v's b, and not that of u or w

    pairs = set(zip(left.user_rows.tolist(), left.item_rows.tolist(), strict=True))
    assert pairs == {(0, 0), (0, 1), (1, 0), (2, 1)}
    assert len(without(x, Held())) == 5


def test_the_split_by_time_lets_nothing_later_into_training():
    # ten events at times 0 to 9: the newest fifth are v's b and w's a; w has nothing earlier
    x = events([*[("u", item, float(n)) for n, item in enumerate("abcdefg")],
                ("v", "a", 7.0), ("v", "b", 8.0), ("w", "a", 9.0)])  # fmt: skip
    split = global_time(x)

    assert split.held == Held([1], [[1]])
    assert len(split.train) == 8
    assert split.train.times.max() == 7


def test_evaluate_answers_what_the_contract_names():
    result = evaluate(
        dataset="two", interactions=two_tastes(), model="popular", options=FitOptions(seed=4)
    )

    assert set(result) == {
        "model", "dataset", "protocol", "seed", "n_users", "n_items", "n_train", "n_test",
        "metrics", "fit_seconds", "score_seconds", "peak_rss_mb", "params",
        "intervals", "segments",  # beyond the contract
    }  # fmt: skip
    assert set(result["metrics"]) == {
        "hr@10", "ndcg@10", "mrr@10", "recall@20", "coverage@10", "gini@10", "novelty@10",
    }  # fmt: skip
    assert (result["protocol"], result["seed"]) == ("leave-last-out", 4)
    assert (result["n_users"], result["n_items"]) == (30, 20)
    assert (result["n_train"], result["n_test"]) == (150, 30)


def test_without_times_the_protocol_is_random_and_the_others_are_refused():
    x = two_tastes(timed=False)

    assert evaluate(dataset="d", interactions=x, model="popular")["protocol"] == "random"
    for protocol in ("leave-last-out", "temporal"):
        with pytest.raises(DatasetError, match="needs timestamps"):
            evaluate(dataset="d", interactions=x, model="popular", protocol=protocol)
    with pytest.raises(BadParams, match="no protocol"):
        evaluate(dataset="d", interactions=x, model="popular", protocol="bootstrap")


def test_nothing_to_hold_out_is_said():
    with pytest.raises(DatasetError, match="holds out nothing"):
        evaluate(dataset="d", interactions=events([("u", "a", 1.0)]), model="popular")
