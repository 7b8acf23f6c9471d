"""The cleaning, cause by cause, on logs whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.core.cleaning import CleaningConfig, Log, clean, cleaned
from recommender.core.data import KIND_CODES
from tests.recommender_core.conftest import events

T = 1_700_000_000.0 + 7  # no round hour


def log_of(rows, trusted=()):
    """Rows of (user, item, kind, value or None, time)."""
    users, items, kinds, values, times = zip(*rows, strict=True)
    return Log.of(
        np.array(users),
        np.array(items),
        np.array([KIND_CODES[kind] for kind in kinds], np.uint8),
        np.array([np.nan if v is None else v for v in values], np.float32),
        np.array(times, np.float64),
        trusted=np.isin(np.arange(len(rows)), trusted),
    )


def causes(rows, trusted=(), **config):
    sieve = clean(log_of(rows, trusted), CleaningConfig(**config))
    assert sieve.report.kept == int(sieve.kept.sum())
    assert sieve.report.read == sieve.report.kept + sum(sieve.report.left_out.values())
    return sieve.report.left_out


def spread(user, count, seconds):
    """Views of different items, evenly over `seconds`."""
    return [(user, n, "view", None, T + seconds * n / count) for n in range(count)]


def test_a_quiet_log_stays_whole():
    assert causes([*spread(1, 100, 86_400), *spread(2, 50, 3600)]) == {}


def test_a_burst_is_left_out_and_its_user_stays():
    rows = [*spread(1, 31, 20), (1, 99, "view", None, T + 4000), *spread(2, 30, 20)]

    sieve = clean(log_of(rows), CleaningConfig(burst_events=30))

    assert sieve.report.left_out == {"burst": 31}
    assert sieve.kept.sum() == 31


def test_a_bot_loses_everything_it_reported_and_server_facts_stay():
    rows = [*spread(1, 60, 80_000), (1, 500, "view", None, T + 400_000)]
    rows += [(1, 501, "purchase", None, T), *spread(2, 40, 80_000)]

    assert causes(rows, trusted=[61], bot_events=50) == {"bot": 61}


def test_the_same_report_again_is_one_report():
    rows = [(1, 7, "view", None, T), (1, 7, "view", None, T), (1, 7, "view", None, T + 0.5),
            (1, 7, "view", None, T + 60), (1, 7, "click", None, T),
            (2, 7, "view", None, T)]  # fmt: skip

    assert causes(rows) == {"repeated": 2}
    untimed = [(1, 7, "view", None, np.nan), (1, 7, "view", None, np.nan)]
    assert causes(untimed) == {"repeated": 1}
    assert causes(rows, repeat_seconds=0) == {}


def test_values_that_cannot_be_are_left_out():
    rows = [(1, 1, "rating", 5.5, T), (1, 2, "rating", -1, T), (1, 3, "rating", None, T),
            (1, 4, "play", 101, T), (1, 5, "rating", 5, T), (1, 6, "play", None, T),
            (1, 7, "view", 900, T)]  # fmt: skip

    assert causes(rows) == {"impossible_value": 4}


def test_nobody_finishes_eleven_things_in_a_minute():
    ends = [(1, n, "complete", None, T + n) for n in range(11)]
    plays = [(2, n, "play", 95, T + n) for n in range(10)]
    same = [(3, 1, "play", 100, T + n * 3) for n in range(15)]  # one thing, again and again

    assert causes([*ends, *plays, *same]) == {"impossible_dwell": 11}


def test_dates_without_hours_say_nothing_about_speed():
    midnight = 1_699_920_000.0
    rows = [(1, n, "complete", None, midnight) for n in range(300)]

    assert causes(rows) == {}


def test_a_rater_far_from_all_others_loses_the_ratings_alone():
    # eight people give ten items 4 stars; user 9 gives each of them 1, three below the others
    rows = [(user, item, "rating", 4, T + user * 100_000 + item * 500)
            for user in range(8) for item in range(10)]  # fmt: skip
    rows += [(9, item, "rating", 1, T + item * 500) for item in range(10)]
    rows += [(9, 3, "view", None, T)]

    sieve = clean(log_of(rows))

    assert sieve.report.left_out == {"outlier_rater": 10}
    assert sieve.report.users == {"outlier_rater": 1}
    assert sieve.kept[-1]
    assert causes(rows, outlier_ratings=11) == {}
    assert causes(rows, outlier_stars=3.1) == {}
    # among two others there is no mean to lie far from
    assert causes([row for row in rows if row[0] in (0, 1, 9)]) == {}


def test_minima_are_applied_until_nobody_falls_below():
    # item 3 has one user, who without it has one item, which without the user has one user
    rows = [(1, 1, "view", None, T), (1, 2, "view", None, T + 90), (2, 1, "view", None, T),
            (2, 2, "view", None, T + 90), (3, 3, "view", None, T),
            (3, 2, "view", None, T + 90)]  # fmt: skip

    assert causes(rows, min_user_items=2, min_item_users=2) == {"few_users": 1, "few_items": 1}
    assert causes(rows, min_user_items=3) == {"few_items": 6}
    assert causes(rows) == {}


def test_a_pair_goes_when_the_cleaning_leaves_none_of_its_events():
    x = events([("u", "a", T), ("u", "b", T + 90), ("v", "a", T)])
    log = log_of([(0, 0, "rating", 9, T), (0, 0, "view", None, T + 50), (0, 1, "rating", 9, T),
                  (1, 0, "view", None, T)])  # fmt: skip

    kept, report = cleaned(x, log)

    assert report.left_out == {"impossible_value": 2}
    assert (kept.user_rows.tolist(), kept.item_rows.tolist()) == ([0, 1], [0, 0])
    assert len(kept.users) == len(x.users)
    assert len(x) == 3  # the input is as it was


@pytest.mark.parametrize("rows", [[], [(1, 1, "view", None, np.nan)]])
def test_an_empty_or_untimed_log_is_no_trouble(rows):
    log = log_of(rows) if rows else Log.of(*(np.zeros(0) for _ in range(5)))

    assert clean(log).report.kept == len(rows)
