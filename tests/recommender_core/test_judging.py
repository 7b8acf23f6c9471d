"""Every figure of an evaluation worked out a second time, by hand or by plain loops."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from recommender.core.cleaning import CleaningConfig, Log
from recommender.core.data import KIND_CODES, Interactions, ItemTable
from recommender.core.errors import BadParams
from recommender.core.evaluation import Subject, evaluate, evaluated, split_by
from recommender.core.judging import (
    diversity,
    intervals,
    item_ages,
    item_features,
    list_metrics,
    per_user,
    rating_errors,
    segments,
)
from recommender.core.metrics import Held, rankings
from recommender.core.preparing import Preparation
from recommender.core.splits import Split, global_time, leave_last_out
from recommender.core.training.base import FitOptions
from recommender.core.training.popular import PopularTrainer
from recommender.core.training.tuning import searched
from tests.recommender_core.conftest import events, two_tastes

DAY = 86_400.0


def rows(*numbers):
    return np.array(numbers, np.int32)


def test_every_list_metric_equals_a_plain_computation():
    rng = np.random.default_rng(5)
    x = two_tastes(40)
    split = Split(x, Held(list(range(40)), [rng.permutation(20)[:3].tolist() for _ in range(40)]))
    lists = [rng.permutation(20)[:20].astype(np.int32) for _ in range(40)]
    k = 5

    found = list_metrics(lists, split, k)

    hits, ndcg, mrr, recall = [], [], [], []
    for ranked, relevant in zip(lists, split.held.item_rows, strict=True):
        places = [p for p, row in enumerate(ranked.tolist()[:k], 1) if row in relevant]
        hits.append(bool(places))
        ideal = sum(1 / math.log2(p + 1) for p in range(1, min(k, 3) + 1))
        ndcg.append(sum(1 / math.log2(p + 1) for p in places) / ideal)
        mrr.append(1 / places[0] if places else 0)
        recall.append(sum(row in relevant for row in ranked.tolist()[:20]) / 3)
    shown = [row for ranked in lists for row in ranked.tolist()[:k]]
    times = sorted(shown.count(row) for row in range(20))
    known = [len(set(x.user_rows[x.item_rows == row].tolist())) for row in range(20)]
    assert found == pytest.approx(
        {
            "hr@5": sum(hits) / 40,
            "ndcg@5": sum(ndcg) / 40,
            "mrr@5": sum(mrr) / 40,
            "recall@20": sum(recall) / 40,
            "coverage@5": len(set(shown)) / 20,
            # half the mean absolute difference over the mean
            "gini@5": sum(abs(a - b) for a in times for b in times) / (2 * 20 * sum(times)),
            "novelty@5": sum(-math.log2(max(known[row], 1) / 40) for row in shown) / len(shown),
        },
        abs=1e-6,
    )


def test_diversity_is_one_less_the_mean_cosine_of_all_pairs():
    table = ItemTable(
        categories=["photo", "photo", "code", "", "code"],
        tags=[("a", "b"), ("a",), ("b", "c"), (), ()],
        creators=["x", "y", "x", "", "z"],
    )
    marks = item_features(table)
    lists = [rows(0, 1, 2), rows(1, 4, 3), rows(3, 4)]

    def apart(one, other):
        return 1 - len(one & other) / math.sqrt(len(one) * len(other))

    first = [apart(marks[a], marks[b]) for a, b in combinations((0, 1, 2), 2)]
    second = [apart(marks[1], marks[4])]  # item 3 has no features; the third list has one left
    assert diversity(lists, marks) == pytest.approx((sum(first) / 3 + sum(second)) / 2)
    assert diversity([rows(1, 1)], marks) == pytest.approx(0)
    assert diversity(lists, []) is None


def test_diversity_stands_in_the_metrics_only_where_items_have_features():
    x = two_tastes()
    plain = ItemTable(categories=[""] * 20, tags=[()] * 20, creators=[""] * 20)
    told = ItemTable(categories=["a", "b"] * 10, tags=[()] * 20, creators=[""] * 20)

    without = evaluated(Subject("d", x, table=plain), "popular")
    with_them = evaluated(Subject("d", x, table=told), "popular")

    assert "diversity@10" not in without["metrics"]
    assert 0 < with_them["metrics"]["diversity@10"] <= 1


def test_intervals_hold_the_mean_repeat_with_their_seed_and_shrink_with_users():
    values = np.random.default_rng(1).random(400)

    few, many = intervals({"m": values[:25]}, 3), intervals({"m": values}, 3)

    assert many == intervals({"m": values}, 3) != intervals({"m": values}, 4)
    low, high = many["m"]
    assert low < values.mean() < high
    # the normal approximation: 1.96 standard errors to each side
    error = values.std() / math.sqrt(400)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert few["m"][1] - few["m"][0] > 2 * (high - low)
    assert intervals({"m": np.ones(5)}, 0) == {"m": [1.0, 1.0]}


def test_segments_part_users_by_activity_and_items_by_age():
    # w has 6 training events, v one; item i was never taken, item a first 200 days ago
    x = events(
        [("w", item, 100 * DAY + n) for n, item in enumerate("abcdef")]
        + [("v", "a", 0.0), ("t", "g", 200 * DAY)],
        more_items=("i",),
    )
    a, g, i = (x.items.row(name) for name in "agi")
    held = Held([x.users.row("w"), x.users.row("v")], [[g, i], [g]])
    lists = [rows(g, a), rows(a, i, g)]

    found = segments(lists, Split(x, held), 2)

    assert found["user_activity"] == [
        {"segment": "1-4", "users": 1, "hr@2": 0.0, "ndcg@2": 0.0},
        {"segment": "5-19", "users": 1, "hr@2": 1.0,
         "ndcg@2": pytest.approx(1 / (1 + 1 / math.log2(3)), abs=1e-6)},
    ]  # fmt: skip
    assert found["item_age"] == [
        {"segment": "cold", "pairs": 1, "recall@2": 0.0, "ndcg@2": 0.0},
        {"segment": "0-30d", "pairs": 2, "recall@2": 0.5, "ndcg@2": 0.5},
    ]
    assert item_ages(x, None)[a] == "181d+"
    told = ItemTable(published_at=np.where(np.arange(8) == a, 190 * DAY, np.nan))
    assert item_ages(x, told)[a] == "0-30d"


def test_rating_errors_by_hand():
    found = rating_errors(np.array([3.0, 5.0, 1.0], np.float32), np.array([4.0, 3.0, 1.0]))

    assert found == {"rmse": pytest.approx(math.sqrt(5 / 3), abs=1e-6), "mae": 1.0}


def test_rating_models_are_judged_on_held_out_stars_they_have_not_seen():
    x = two_tastes()
    rated = evaluated(Subject("d", x, ratings=x), "mf", params={"factors": 2, "iterations": 2})
    ranked = evaluated(Subject("d", x, ratings=x), "popular")

    split = leave_last_out(x)
    held = [
        (u, i) for u, items in zip(split.held.user_rows, split.held.item_rows, strict=True)
        for i in items
    ]  # fmt: skip
    from recommender.core.training.registry import make_trainer

    model = make_trainer("mf", {"factors": 2, "iterations": 2}).fit(split.train, FitOptions())
    stars = {
        (int(u), int(i)): v for u, i, v in zip(x.user_rows, x.item_rows, x.values, strict=True)
    }
    users, items = (np.array(column, np.int32) for column in zip(*held, strict=True))
    errors = model.rate(users, items) - np.array([stars[pair] for pair in held])
    assert rated["metrics"]["rmse"] == pytest.approx(float(np.sqrt(np.mean(errors**2))), abs=1e-5)
    assert rated["metrics"]["mae"] == pytest.approx(float(np.abs(errors).mean()), abs=1e-5)
    assert not {"rmse", "mae"} & set(ranked["metrics"])


def test_equal_scores_stand_in_a_seeded_order_and_not_in_that_of_the_rows():
    x = events([("u", "a", 1.0), ("v", "b", 2.0)], more_items=tuple("cdefghijklmnop"))
    model = PopularTrainer().fit(x, FitOptions())

    first = rankings(model, x, [0], 5, seed=1)[0]
    assert first.tolist() == rankings(model, x, [0], 5, seed=1)[0].tolist()
    assert first[0] == x.items.row("b")  # the only score above 0 that is not seen
    others = {tuple(rankings(model, x, [0], 16, seed=seed)[0][1:]) for seed in range(6)}
    assert len(others) == 6
    assert all(sorted((0, 1, *order)) == list(range(16)) for order in others)


def test_the_temporal_protocol_is_one_moment_for_everybody():
    rng = np.random.default_rng(2)
    x = events([(f"u{rng.integers(30)}", f"i{rng.integers(25)}", float(rng.random()) * 1e6 + 1)
                for _ in range(600)])  # fmt: skip

    name, split = split_by("temporal", x, 0)

    end = split.train.times.max()
    later = [
        x.times[(x.user_rows == user) & (x.item_rows == item)][0]
        for user, items in zip(split.held.user_rows, split.held.item_rows, strict=True)
        for item in items
    ]
    assert name == "temporal"
    assert min(later) > end
    assert (split.until >= end).all()
    assert (split.until < min(later)).all()
    # leave-last-out does learn from others' later events: that is why it is not the only protocol
    last = leave_last_out(x)
    held_times = [x.times[x.indptr[user + 1] - 1] for user in last.held.user_rows]
    assert last.train.times.max() > min(held_times)


def log_of(x: Interactions, repeats: int = 1) -> Log:
    return Log.of(
        np.repeat(x.user_rows, repeats), np.repeat(x.item_rows, repeats),
        np.repeat(x.kinds, repeats), np.repeat(x.values, repeats),
        np.repeat(x.times, repeats) + np.tile(np.arange(repeats) * 1e5, len(x)),
    )  # fmt: skip


def test_events_after_the_cut_say_nothing_in_the_matrix():
    x = two_tastes()
    split = global_time(x)
    log = log_of(x)
    late = Log.of(split.train.user_rows, split.train.item_rows,
                  np.full(len(split.train), KIND_CODES["purchase"], np.uint8),
                  np.full(len(split.train), np.nan, np.float32),
                  np.full(len(split.train), x.times.max() + 5))  # fmt: skip
    both = Log(*(np.concatenate([a, b]) for a, b in
                 zip(vars(log).values(), vars(late).values(), strict=True)))  # fmt: skip

    clean, tainted = (
        Preparation(events).weighed(split.train, {"matrix": {}}, split.until)
        for events in (log, both)
    )

    assert np.array_equal(clean.weights, tainted.weights)
    assert len(np.unique(clean.weights)) > 1


def test_tuning_sees_no_test_item():
    x = two_tastes(60)
    split = leave_last_out(x)
    others = {user: items[0] for user, items in
              zip(split.held.user_rows, split.held.item_rows, strict=True)}  # fmt: skip
    changed = np.array(x.item_rows)
    for user in others:  # every test item becomes another one that the user has not taken
        last = x.indptr[user + 1] - 1
        free = np.setdiff1d(np.arange(20), x.item_rows[x.indptr[user] : last + 1])
        changed[last] = free[user % len(free)]
    y = replace(x, item_rows=changed.astype(np.int32))

    one, other = (
        evaluated(
            Subject("d", z, preparation=Preparation(log_of(z))),
            "ials",
            protocol="leave-last-out",
            tune=6,
        )
        for z in (x, y)
    )

    assert one["params"] == other["params"]
    assert one["metrics"] != other["metrics"]


def test_tuning_searches_the_matrix_where_the_events_are_at_hand():
    x = two_tastes(60)
    drawn = [
        searched("ease", {}, x, 8, FitOptions(seed=seed), Preparation(log_of(x, 3))).best
        for seed in range(4)
    ]
    told = {"matrix": {"alpha": 0.7}}
    fixed = searched("ease", told, x, 3, FitOptions(), Preparation(log_of(x))).best

    assert any("matrix" in chosen for chosen in drawn)
    assert fixed["matrix"] == {"alpha": 0.7}
    assert "matrix" not in searched("ease", {}, x, 8, FitOptions()).best
    with pytest.raises(BadParams, match="no parameter 'alfa'"):
        searched("ease", {"matrix": {"alfa": 1}}, x, 2, FitOptions(), Preparation(log_of(x)))


def test_cleaning_changes_what_is_learned_and_not_what_is_asked():
    x = two_tastes(40)
    bots = events(
        [(f"bot{n}", f"i{item}", 900_000.0 + item * 0.4) for n in range(4) for item in range(9)],
        more_items=tuple(f"i{n}" for n in range(9, 20)),
    )
    z = Interactions.build(
        users=type(x.users).from_ids([*x.users.ids(range(40)), *(f"bot{n}" for n in range(4))]),
        items=x.items,
        user_rows=np.concatenate([x.user_rows, bots.user_rows + 40]),
        item_rows=np.concatenate(
            [x.item_rows, x.items.rows(bots.items.ids(bots.item_rows.tolist()))]
        ),
        times=np.concatenate([x.times, bots.times]),
    )
    subject = Subject("d", z, preparation=Preparation(log_of(z), CleaningConfig(burst_events=7)))

    cleaned, raw = evaluated(subject, "popular"), evaluate(
        dataset="d", interactions=z, model="popular"
    )  # fmt: skip

    assert cleaned["cleaning"]["left_out"] == {"burst": 32}  # 8 of 9 each are in training
    assert (cleaned["n_train"], raw["n_train"]) == (raw["n_train"] - 32, raw["n_train"])
    assert cleaned["n_test"] == raw["n_test"] == 44
    assert "cleaning" not in raw
    assert list(cleaned["metrics"]) == list(raw["metrics"])


def test_per_user_figures_are_those_of_the_means():
    x = two_tastes()
    split = leave_last_out(x)
    lists = rankings(PopularTrainer().fit(split.train, FitOptions()), split.train,
                     split.held.user_rows, 20)  # fmt: skip

    each, means = per_user(lists, split, 10), list_metrics(lists, split, 10)

    assert {name: round(float(v.mean()), 6) for name, v in each.items()}.items() <= means.items()
