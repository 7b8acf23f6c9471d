"""Too much in too short a time, wherever the clock's minutes and days begin."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.core.cleaning import CleaningConfig, Log, clean
from recommender.core.data import KIND_CODES
from recommender.core.evaluation import Subject, evaluated
from recommender.core.preparing import Preparation
from tests.recommender_core.conftest import events, two_tastes

MIDNIGHT = 1_699_920_000.0  # of a day in UTC, and so of an hour and a minute
SEED = 4


def log_of(users, items, times, kind="view", values=None, seconds=None):
    n = len(users)
    return Log.of(
        np.asarray(users), np.asarray(items), np.full(n, KIND_CODES[kind], np.uint8),
        np.full(n, np.nan, np.float32) if values is None else np.asarray(values, np.float32),
        np.asarray(times, np.float64),
        seconds=None if seconds is None else np.full(n, seconds, np.float32),
    )  # fmt: skip


def left_out(log, **config):
    return clean(log, CleaningConfig(**config)).report.left_out


def test_a_bot_over_midnight_is_a_bot():
    # 5,000 clicks in 20.8 h, 2,773 before midnight in UTC and 2,227 after it
    times = MIDNIGHT - 2773 * 15 + np.arange(5000) * 15.0

    assert left_out(log_of(np.ones(5000), np.arange(5000), times)) == {"bot": 5000}
    # the same number in twice the time: at most 2,880 within any 24 h
    slow = MIDNIGHT + np.arange(5000) * 30.0
    assert left_out(log_of(np.ones(5000), np.arange(5000), slow)) == {}


@pytest.mark.parametrize(("first", "step"), [(-195 / 10, 0.1), (-2.0, 4 / 240)])
def test_a_burst_over_the_full_minute_is_one_burst(first, step):
    count = 300 if step == 0.1 else 240
    times = MIDNIGHT + 600 + first + np.arange(count) * step

    assert left_out(log_of(np.ones(count), np.arange(count), times)) == {"burst": count}


def test_a_window_ends_before_its_full_length():
    # 3 are allowed: four at 0, 20, 40 and 60 s lie in no minute, at 59.9 s they do
    log = log_of([1] * 4, range(4), [MIDNIGHT + 7 + t for t in (0, 20, 40, 60)])
    assert left_out(log, burst_events=3) == {}
    log = log_of([1] * 4, range(4), [MIDNIGHT + 7 + t for t in (0, 20, 40, 59.9)])
    assert left_out(log, burst_events=3) == {"burst": 4}


def test_windows_of_several_users_are_those_of_each_alone():
    """Against counting each window by itself."""
    rng = np.random.default_rng(SEED)
    users, items = rng.integers(0, 6, 900), rng.integers(0, 9, 900)
    times = MIDNIGHT + np.round(rng.uniform(0, 4000, 900), 1)
    log = log_of(users, items, times)
    crowded = np.zeros(900, bool)
    for start in range(900):
        window = (users == users[start]) & (times >= times[start]) & (times < times[start] + 60)
        if window.sum() > 5:
            crowded |= window

    sieve = clean(log, CleaningConfig(burst_events=5, repeat_seconds=0))

    assert 100 < crowded.sum() < 800
    assert (~sieve.kept == crowded).all()


def test_what_is_finished_within_a_minute_is_counted_over_any_minute():
    """Against counting the items of each window by itself."""
    rng = np.random.default_rng(SEED)
    users, items = rng.integers(0, 5, 700), rng.integers(0, 12, 700)
    times = MIDNIGHT + np.round(rng.uniform(0, 6000, 700), 1)
    at_once = np.zeros(700, bool)
    for start in range(700):
        window = (users == users[start]) & (times >= times[start]) & (times < times[start] + 60)
        if len(set(items[window])) > 3:
            at_once |= window

    sieve = clean(
        log_of(users, items, times, "complete"), CleaningConfig(full_plays=3, repeat_seconds=0)
    )

    assert 50 < at_once.sum() < 650
    assert (~sieve.kept == at_once).all()


def test_eleven_things_finished_around_a_full_minute_are_too_many():
    times = [MIDNIGHT + 600 + 5 * (n - 6) for n in range(11)]

    assert left_out(log_of([1] * 11, range(11), times, "complete")) == {"impossible_dwell": 11}


def test_more_than_three_days_of_watching_within_a_day_is_impossible():
    # ten hours each, claimed every two hours over midnight: ten of them are 100 h within 20 h;
    # a first look two days before leaves each single claim its time
    items = np.arange(10)
    looks = log_of([1] * 10, items, [MIDNIGHT - 190_000 + n for n in range(10)])
    plays = log_of(
        [1] * 10, items, [MIDNIGHT + 7200 * (n - 5) + 1 for n in range(10)], "play",
        [100.0] * 10, 36_000,
    )  # fmt: skip
    both = Log(*(np.concatenate(two) for two in zip(
        vars(looks).values(), vars(plays).values(), strict=True
    )))  # fmt: skip

    assert left_out(both, full_plays=0) == {"impossible_dwell": 10}


def test_an_evaluation_tells_bots_and_bursts_by_all_that_they_reported():
    # the bot sees its ninth and last item within a minute, and then clicks on for seven hours;
    # the burst comes after the held-out view of its user as well
    x = two_tastes(40)
    rows = [("bot", f"i{n}", 900_007.0 + 7 * n) for n in range(9)]
    rows += [("fast", f"i{n}", 950_007.0 + 900 * n) for n in range(4)]
    more = events(rows, more_items=tuple(f"i{n}" for n in range(9, 20)))
    z = type(x).build(
        users=type(x.users).from_ids([*x.users.ids(range(40)), "bot", "fast"]),
        items=x.items,
        user_rows=np.concatenate([x.user_rows, more.user_rows + 40]),
        item_rows=np.concatenate(
            [x.item_rows, x.items.rows(more.items.ids(more.item_rows.tolist()))]
        ),
        times=np.concatenate([x.times, more.times]),
    )
    users = [*z.user_rows, *[40] * 5000, *[41] * 300]
    items = [*z.item_rows, *x.items.rows([f"i{n % 9}" for n in range(5000)]),
             *x.items.rows([f"i{n % 3}" for n in range(300)])]  # fmt: skip
    times = [*z.times, *(900_100.0 + 5 * np.arange(5000)), *(960_007.0 + np.arange(300) / 10)]
    subject = Subject("d", z, preparation=Preparation(log_of(users, items, times),
                                                      CleaningConfig()))  # fmt: skip

    told = evaluated(subject, "popular")["cleaning"]

    # of the bot its eight training pairs; what the fast user did slowly stays
    assert told["left_out"] == {"bot": 8}
    assert told["users"] == {"bot": 1}
    everything = Preparation(log_of(users, items, times), CleaningConfig()).cleaned(z)[1]
    assert everything.left_out == {"bot": 5009, "burst": 300}
