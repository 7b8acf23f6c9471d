"""The interaction matrix, by hand and against a second computation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recommender.core.cleaning import Log
from recommender.core.data import KIND_CODES, VERIFIED
from recommender.core.matrix import (
    SPACE,
    MatrixConfig,
    behaviour_of,
    event_strengths,
    pair_weights,
    rating_of,
    weighted,
)
from tests.recommender_core.conftest import events

DAY = 86_400.0
NAMES = {**KIND_CODES, "learn": VERIFIED}


def log_of(rows):
    users, items, kinds, values, times = zip(*rows, strict=True)
    return Log.of(
        np.array(users),
        np.array(items),
        np.array([NAMES[kind] for kind in kinds], np.uint8),
        np.array([np.nan if v is None else v for v in values], np.float32),
        np.array(times, np.float64),
    )


def test_one_pair_by_hand():
    # user u did three things with a: a view (.4) 10 days ago, 60 % played (.7 * .76) and 4 stars
    # (1) now; with a half-life of 10 days the view counts .2
    x = events([("u", "a", 10 * DAY), ("u", "b", 20 * DAY)])
    config = MatrixConfig(alpha=0.5, beta=0.5, half_life_days=10, saturation=2, centre=3)
    rows = [(0, 0, "view", None, 10 * DAY), (0, 0, "play", 60, 20 * DAY),
            (0, 0, "rating", 4, 20 * DAY), (0, 1, "purchase", None, 20 * DAY)]  # fmt: skip

    found = weighted(x, log_of(rows), config)

    summed = 0.2 + 0.7 * 0.76 + 1.0
    cell = 0.5 * summed / (summed + 2) + 0.5 * (4 - 3) / 2
    ordinary = 0.5 / 3
    bought = 0.5 * 1.5 / 3.5
    assert found.weights.tolist() == pytest.approx([cell / ordinary, bought / ordinary], rel=1e-5)
    assert x.weights.tolist() == [1, 1]  # the input is as it was


def test_one_ordinary_event_weighs_one():
    x = events([("u", "a", 5.0)])
    for config in (MatrixConfig(), MatrixConfig(alpha=0.3, beta=0.7, saturation=5)):
        assert weighted(x, log_of([(0, 0, "share", None, 5.0)]), config).weights[0] == 1


def test_both_parts_lie_between_0_and_1():
    config = MatrixConfig()
    assert behaviour_of(np.array([0.0, 1.0, 1e9]), config).tolist() == pytest.approx([0, 0.5, 1])
    stars = rating_of(np.array([np.nan, 0.5, 2.5, 3.75, 5, 9]), config)
    assert stars.tolist() == [0, 0, 0, 0.5, 1, 1]


def test_learning_that_was_seen_is_the_strongest_event():
    config = MatrixConfig()
    log = log_of([(0, n, kind, 100, 5.0) for n, kind in enumerate(NAMES)])
    strengths = dict(zip(NAMES, event_strengths(log, config, 5.0).tolist(), strict=True))

    assert max(strengths, key=strengths.get) == "learn"
    assert strengths["search"] == strengths["impression"] == 0


def test_the_newest_stars_count_and_later_events_are_not_looked_at():
    x = events([("u", "a", 1.0), ("v", "a", 1.0)])
    rows = [(0, 0, "rating", 1, 3.0), (0, 0, "rating", 5, 9.0), (1, 0, "rating", 5, 3.0)]
    config = MatrixConfig(alpha=0, beta=1)
    unit = config.ordinary()

    everything = weighted(x, log_of(rows), config).weights * unit
    before = weighted(x, log_of(rows), config, until=np.array([5.0, 2.0])).weights * unit

    assert everything.tolist() == pytest.approx([1, 1])
    assert before.tolist() == pytest.approx([0.001 * unit, 0.001 * unit])  # 1 star, and nothing


def test_serving_and_training_compute_the_same():
    rng = np.random.default_rng(3)
    kinds = [k for k in NAMES if k not in {"search", "impression"}]
    rows = [
        (0, int(rng.integers(6)), str(rng.choice(kinds)),
         None if rng.random() < 0.3 else float(rng.uniform(0.5, 5)),
         float(rng.uniform(1, 90)) * DAY)
        for _ in range(80)
    ]  # fmt: skip
    x = events([("u", str(item), 1.0) for item in range(6)])
    log = log_of([(u, x.items.row(str(i)), k, v, t) for u, i, k, v, t in rows])
    newest = max(row[4] for row in rows)
    for config in (MatrixConfig(), MatrixConfig(half_life_days=20, saturation=3, learn=1.2)):
        found = weighted(x, log, config)
        by_item = [[(k, v, t) for _, i, k, v, t in rows if i == n] for n in range(6)]
        served = pair_weights(by_item, newest, config)
        trained = [found.weights[found.item_rows == x.items.row(str(n))][0] for n in range(6)]
        assert served == pytest.approx(trained, rel=1e-5)
        assert all(math.isfinite(w) and w > 0 for w in served)


def test_everything_that_is_searched_is_a_setting():
    assert set(SPACE) <= set(MatrixConfig.__dataclass_fields__)
    assert {"alpha", "beta", "half_life_days", "saturation"} <= set(SPACE)
