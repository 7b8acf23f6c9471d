from __future__ import annotations

import numpy as np
import pytest

from recommender.core.data import History, IdMap
from recommender.core.models.recency import ages, recency
from recommender.core.serving import top_k
from tests.recommender_core.conftest import events, two_tastes


def test_ids_map_to_rows_and_back_whatever_they_are_made_of():
    ids = ["a", "课程", "x" * 300, "", "A"]
    mapped = IdMap.from_ids(ids)

    assert mapped.rows([*ids, "unknown"]).tolist() == [0, 1, 2, 3, 4, -1]
    assert mapped.ids(range(5)) == ids


def test_repeated_ids_are_refused():
    with pytest.raises(ValueError, match="repeat"):
        IdMap.from_ids(["a", "b", "a"])


def test_only_the_first_event_of_a_user_and_item_counts():
    x = events([("u", "a", 30.0), ("u", "b", 20.0), ("u", "a", 10.0)])

    assert x.items.ids(x.history(0).rows) == ["a", "b"]
    assert x.history(0).times.tolist() == [10.0, 20.0]


def test_without_times_the_first_row_of_the_file_counts():
    x = events([("u", "a", None), ("v", "a", None), ("u", "a", None)], stars=[1, 2, 3])

    assert x.times is None
    assert x.values.tolist() == [1, 2]


def test_ties_in_time_are_not_broken_by_item_id():
    rows = [(f"u{n}", item, 5.0) for n in range(200) for item in ("a", "b")]
    x = events(rows)

    last = [int(x.history(user).rows[-1]) for user in range(200)]
    assert 60 < sum(last) < 140  # about half end with each item
    again = events(rows)
    assert np.array_equal(x.item_rows, again.item_rows)


def test_single_unknown_times_count_as_the_oldest():
    x = events([("u", "a", 50.0), ("u", "b", float("nan")), ("u", "c", 40.0)])

    assert x.items.ids(x.history(0).rows) == ["b", "c", "a"]


def test_events_of_one_second_share_their_mean_age():
    assert ages(np.array([1.0, 2.0, 2.0, 2.0, 9.0])).tolist() == [4, 2, 2, 2, 0]
    history = History.of([0, 1, 2], times=[1.0, 1.0, 5.0])
    assert recency(history, 1.5).tolist() == pytest.approx([0.5, 0.5, 1.0])
    assert recency(History.of([0, 1]), 1.5).tolist() == [1, 1]


def test_top_k_is_exact_leaves_out_and_breaks_ties_by_row():
    scores = np.array([1, 3, 3, 2, 3, 0], np.float32)

    assert top_k(scores, 2).tolist() == [1, 2]
    assert top_k(scores, 4, np.array([1, 99, -1])).tolist() == [2, 4, 3, 0]
    assert top_k(scores, 100, np.array([0, 0])).tolist() == [1, 2, 4, 3, 5]
    assert top_k(scores, 0).tolist() == []
    assert scores.tolist() == [1, 3, 3, 2, 3, 0]


def test_top_k_equals_a_full_sort():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 500).astype(np.float32)

    wanted = sorted(range(500), key=lambda row: (-scores[row], row))[:30]
    assert top_k(scores, 30).tolist() == wanted


def test_the_data_hash_follows_every_column():
    x = two_tastes()
    assert x.data_hash() == two_tastes().data_hash()
    assert x.data_hash() != two_tastes(seed=2).data_hash()
    assert x.data_hash() != two_tastes(timed=False).data_hash()
