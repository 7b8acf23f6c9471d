"""Unions of intervals: by hand, and against sets of seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback import intervals
from feedback.rules import Credit, percent, play_mark, rating_counts, watched

PAIRS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda p: (min(p), max(p))), max_size=8
)


def seconds(pairs) -> set[int]:
    return {second for start, end in pairs for second in range(start, end)}


@pytest.mark.parametrize(
    ("pairs", "union"),
    [
        ([], []),
        ([(5, 5)], []),
        ([(0, 10), (10, 20)], [(0, 20)]),
        ([(20, 30), (0, 10), (5, 12)], [(0, 12), (20, 30)]),
        ([(0, 100), (10, 20)], [(0, 100)]),
    ],
)
def test_touching_and_overlapping_intervals_become_one(pairs, union):
    assert intervals.union(pairs) == union


def test_what_is_left_of_an_interval_without_its_holes():
    assert intervals.difference([(0, 30)], [(5, 10), (20, 40)]) == [(0, 5), (10, 20)]


def test_the_earliest_seconds_are_kept():
    assert intervals.first([(0, 5), (10, 20)], 8) == [(0, 5), (10, 13)]


@given(PAIRS, PAIRS)
def test_union_and_difference_are_those_of_sets(a, b):
    union, left = intervals.union(a, b), intervals.difference(a, b)

    assert seconds(union) == seconds(a) | seconds(b)
    assert seconds(left) == seconds(a) - seconds(b)
    assert intervals.total(union) == len(seconds(union))
    for result in (union, left):
        assert all(start < end for start, end in result)
    assert all(one[1] < two[0] for one, two in zip(union, union[1:], strict=False))


@given(PAIRS, PAIRS, st.integers(0, 70), st.integers(1, 60))
def test_a_report_adds_only_reported_seconds_within_the_credit(before, reported, credit, length):
    known = intervals.clipped(before, length)

    after = watched(before=known, reported=reported, length=length, credit=Credit(credit * 1000))

    new = seconds(after.intervals) - seconds(known)
    possible = {s for s in seconds(reported) if s < length} - seconds(known)
    assert new <= possible
    assert len(new) == min(credit, len(possible)) == after.added
    assert after.seconds == len(seconds(after.intervals))
    assert after.credit.ms <= 15_000


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0.1, 16)), max_size=20))
def test_any_number_of_reports_gets_15_s_plus_three_times_the_time(reports):
    credit, taken, passed = Credit(15_000), 0, 0
    for elapsed, rate in reports:
        credit = credit.grown(elapsed * 1000, rate)
        took = credit.ms // 1000
        taken, passed = taken + took, passed + elapsed
        credit = credit.spent(took)

    assert taken <= 15 + 3 * passed


def test_percent_rounds_down_and_stops_at_100():
    assert [percent(s, 200) for s in (0, 1, 3, 199, 200, 300)] == [0, 0, 1, 99, 100, 100]
    assert percent(5, 0) == 0


def test_play_marks():
    assert [play_mark(p) for p in (0, 1, 24, 25, 89, 90, 100)] == [0, 1, 1, 25, 75, 90, 100]


def test_a_rating_counts_from_the_share_on():
    def counts(watched_seconds: int) -> bool:
        return rating_counts(watched_seconds=watched_seconds, course_seconds=200, share_percent=30)

    assert [counts(s) for s in (0, 59, 60, 200)] == [False, False, True, True]
    assert not rating_counts(watched_seconds=0, course_seconds=0, share_percent=30)
