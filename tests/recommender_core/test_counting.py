"""What the closed forms count, beside counting by hand; and that blocks change nothing."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recommender.core import sorting
from recommender.core.data import IdMap, Interactions
from recommender.core.models.neighbours import PRIOR, TransitionsConfig
from recommender.core.training import neighbours
from recommender.core.training.base import FitOptions
from recommender.core.training.ials import Block, both_sides, solve
from recommender.core.training.neighbours import step_lists, strongest
from recommender.core.training.registry import make_trainer
from tests.recommender_core.conftest import two_tastes

ROOT = Path(__file__).resolve().parents[2]


def shuffled_events(users=13, items=11, events=150, *, timed=True, seed=0):
    """Duplicates, users without events and shared seconds included."""
    rng = np.random.default_rng(seed)
    times = rng.integers(0, 30, events).astype(float) if timed else None
    return {
        "users": IdMap.from_ids([f"u{n}" for n in range(users + 2)]),
        "items": IdMap.from_ids([f"i{n}" for n in range(items + 1)]),
        "user_rows": rng.integers(1, users, events),
        "item_rows": rng.integers(0, items, events),
        "times": times,
        "weights": rng.random(events).astype(np.float32),
    }


def test_a_step_counts_by_distance_and_half_each_way_within_a_second():
    x = Interactions.build(**shuffled_events())
    config = TransitionsConfig(window=3, decay=0.5, from_power=0.75, to_power=0.25)
    counted = np.zeros((len(x.items), len(x.items)))
    for user in range(len(x.users)):
        past = x.history(user)
        ages = [
            np.mean([len(past) - 1 - at for at in range(len(past)) if past.times[at] == time])
            for time in past.times
        ]
        for first, second in itertools.combinations(range(len(past)), 2):
            if second - first > 3:
                continue
            i, j, gap = past.rows[first], past.rows[second], ages[first] - ages[second]
            weight = past.weights[second] * 0.5 ** (max(gap, 1) - 1)
            if gap == 0:
                counted[i, j] += weight / 2
                counted[j, i] += weight / 2
            else:
                counted[i, j] += weight
    leaving, reaching = counted.sum(1) + 1, counted.sum(0) + 1
    wanted = leaving[:, None] ** -0.75 * counted * reaching**-0.25

    lists, lost = step_lists(x, config)

    found = np.zeros_like(wanted)
    np.add.at(found, (np.arange(len(found))[:, None], lists.columns), lists.values)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert lost == pytest.approx(0, abs=1e-6)


def test_blocks_of_any_size_count_the_same(monkeypatch):
    x = Interactions.build(**shuffled_events())
    whole = {name: make_trainer(name, {"neighbours": 4}).fit(x, FitOptions()).arrays()
             for name in ("ease", "transitions", "item_knn")}  # fmt: skip
    for name, value in (("LINES", 3), ("CELLS", 20), ("EVENTS", 7)):
        monkeypatch.setattr(neighbours, name, value)

    for model, arrays in whole.items():
        again = make_trainer(model, {"neighbours": 4}).fit(x, FitOptions()).arrays()
        for name, array in arrays.items():
            assert again[name] == pytest.approx(array, rel=1e-3), (model, name)


def test_item_knn_is_the_cosine_over_users():
    x = Interactions.build(**shuffled_events())
    taken = np.zeros((len(x.users), len(x.items)))
    taken[x.user_rows, x.item_rows] = 1
    counts = np.maximum(taken.sum(0), 1)
    wanted = taken.T @ taken / (np.sqrt(counts[:, None] * counts) + 2.0)
    np.fill_diagonal(wanted, 0)
    model = make_trainer("item_knn", {"neighbours": 100, "regularization": 2.0}).fit(
        x, FitOptions()
    )

    past = x.history(3)
    scores = model.score_one(past) - PRIOR * model.popularity
    assert scores == pytest.approx(past.weights @ wanted[past.rows], rel=2e-3)


def test_the_strongest_are_cut_by_size_and_ties_by_the_lower_column():
    part = np.array([[1, -3, 2, 3, 2, 2], [0, 0, 0, 0, 0, 5]], np.float32)

    columns, values = strongest(part, 3)

    assert columns.tolist() == [[1, 2, 3], [0, 1, 5]]
    assert values.tolist() == [[-3, 2, 3], [0, 0, 5]]


@pytest.mark.parametrize("further", [None, 2.5])
@pytest.mark.parametrize("same", [True, False])
def test_enough_conjugate_gradient_steps_solve_each_row_however_long(same, further):
    rng = np.random.default_rng(0)
    fixed = rng.normal(size=(51, 6)).astype(np.float32)
    fixed[-1] = 0
    gram = (fixed.T @ fixed + np.eye(6)).astype(np.float32)
    confidence = np.full((1, 30), 4.0) if same else rng.random((1, 30)) * 8
    columns = rng.permutation(50)[None, :30].astype(np.int32)
    told = confidence[:, :1] if same else confidence
    block = Block(np.array([2]), columns, told.astype(np.float32))
    known = fixed[columns[0]].astype(float)
    left = gram + known.T @ (confidence[0][:, None] * known) + (further or 0) * np.eye(6)
    wanted = np.linalg.solve(left, known.T @ (1 + confidence[0]))
    ridges = None if further is None else np.array([0, 0, further, 0], np.float32)

    for room in (64, 7):  # gathered at once, and by parts
        solved = np.ones((4, 6), np.float32)
        solve(block, solved, fixed, gram, 8, np.empty((room, 6), np.float32), ridges)
        assert solved[2] == pytest.approx(wanted, rel=1e-3, abs=1e-4)
        assert solved[[0, 1, 3]].tolist() == np.ones((3, 6)).tolist()


def test_the_blocks_of_both_sides_hold_every_cell_once():
    x = Interactions.build(**shuffled_events())
    by_item, by_user = both_sides(x, x.weights)
    wanted = sorted(zip(x.user_rows.tolist(), x.item_rows.tolist(), x.weights.tolist(),
                        strict=True))  # fmt: skip

    for blocks, padding, turned in ((by_user, len(x.items), False), (by_item, len(x.users), True)):
        cells = []
        for block in blocks:
            for row, columns, values in zip(
                block.rows.tolist(), block.columns, block.confidence, strict=True
            ):
                real = columns != padding
                pairs = zip(columns[real].tolist(), values[real].tolist(), strict=True)
                cells += [(c, row, v) if turned else (row, c, v) for c, v in pairs]
        assert sorted(cells) == wanted


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("slab", [1, 9, 10**6])
def test_columns_keep_the_oldest_of_each_pair_in_order_whatever_the_slabs(monkeypatch, timed, slab):
    raw = shuffled_events(timed=timed)
    wanted = Interactions.build(**raw)
    monkeypatch.setattr(sorting, "SLAB", slab)

    x = Interactions.build(**raw)

    assert x.data_hash() == wanted.data_hash()
    oldest: dict[tuple[int, int], tuple[float, int]] = {}
    for at, pair in enumerate(zip(raw["user_rows"], raw["item_rows"], strict=True)):
        key = (raw["times"][at] if timed else 0.0, at)
        oldest[pair] = min(oldest.get(pair, key), key)
    found = zip(x.user_rows, x.item_rows, x.weights, strict=True)
    assert {(u, i): w for u, i, w in found} == {
        pair: raw["weights"][at] for pair, (_, at) in oldest.items()
    }
    assert len(x) == len(oldest)
    assert (np.diff(x.user_rows) >= 0).all()
    if timed:
        assert all((np.diff(past.times) >= 0).all() for past in x.histories())


def test_users_without_events_add_nothing_to_the_items():
    x = two_tastes(10)
    more = IdMap.from_ids([*x.users.ids(range(10)), *(f"nobody{n}" for n in range(50))])
    with_nobodies = Interactions.build(
        users=more, items=x.items, user_rows=x.user_rows, item_rows=x.item_rows, times=x.times
    )
    exact = {"factors": 4, "iterations": 60, "cg_steps": 8, "regularization": 1.0}
    one, other = (
        make_trainer("ials", exact).fit(data, FitOptions()) for data in (x, with_nobodies)
    )

    past = x.history(0)
    assert other.score_one(past) == pytest.approx(one.score_one(past), abs=0.02)


def test_fitting_transitions_loads_no_torch():
    code = (
        "from tests.recommender_core.conftest import two_tastes\n"
        "from recommender.core.training.base import FitOptions\n"
        "from recommender.core.training.registry import make_trainer\n"
        "make_trainer('transitions').fit(two_tastes(), FitOptions())\n"
        "import sys; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.stdout.split() == ["False", "False"], done.stderr
