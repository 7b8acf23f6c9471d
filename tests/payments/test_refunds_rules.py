"""Arithmetic of refunds, by hand and by properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments import refund_rules as rules
from payments.errors import RefundExceedsPaid, RefundNotInPolicy
from payments.refund_rules import DEFAULT_POLICY, Policy, Room

DAY = timedelta(days=1)
FEN = st.integers(min_value=0, max_value=1_000_000)
# A busy machine is no property of these rules.
quietly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("age", "used_bp", "share_bp"),
    [
        (timedelta(0), 0, 10_000),
        (7 * DAY, 2999, 10_000),
        (7 * DAY + timedelta(microseconds=1), 0, 0),
        (timedelta(0), 3000, 0),
        (8 * DAY, 10_000, 0),
    ],
)
def test_the_default_gives_all_within_seven_days_and_under_thirty_percent(age, used_bp, share_bp):
    allowed = rules.allowance(DEFAULT_POLICY, age=age, used_bp=used_bp)

    assert allowed.share_bp == share_bp
    assert allowed.why


@pytest.mark.parametrize(
    ("age", "used_bp", "share_bp"),
    [
        (3 * DAY, 2000, 10_000),  # full: in time and below
        (3 * DAY, 4000, 6000),  # used too much for all of it: the unused part
        (20 * DAY, 1234, 8766),
        (30 * DAY, 10_000, 0),
        (31 * DAY, 0, 0),
    ],
)
def test_a_tail_gives_the_unused_part_for_a_while(age, used_bp, share_bp):
    policy = Policy(full_days=7, full_below_bp=3000, tail_days=30)

    assert rules.allowance(policy, age=age, used_bp=used_bp).share_bp == share_bp


def test_the_reason_is_a_sentence_with_its_figures():
    said = rules.allowance(DEFAULT_POLICY, age=DAY, used_bp=1250).why

    assert said == "付款后 7 天内且已学不足 30%，可全额退款（已学 12.5%）。"


@pytest.mark.parametrize(
    ("at_day", "end_day", "share"),
    [(-1, 30, 0), (0, 30, 0), (10, 30, 3333), (30, 30, 10_000), (99, 30, 10_000), (99, None, 0)],
)
def test_a_membership_is_used_by_the_time_that_is_over(at_day, end_day, share):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = None if end_day is None else start + end_day * DAY

    assert rules.elapsed_bp(start, end, start + at_day * DAY) == share


def test_what_is_back_or_on_its_way_counts_against_the_share():
    # 87.66 % of 99.99 yuan are 8765.12 fen, of which 5000 went
    assert rules.allowed_fen(payable_fen=9999, gone_fen=5000, share_bp=8766) == 3765
    assert rules.allowed_fen(payable_fen=9999, gone_fen=9000, share_bp=8766) == 0


def test_an_amount_is_spread_by_largest_remainder_over_what_each_line_may_give():
    rooms = [Room(1, 5000, 5000), Room(2, 9999, 3000), Room(3, 10, 0), Room(4, 2000, 2000)]

    # 1000 · 5/10 = 500, 1000 · 3/10 = 300, 1000 · 2/10 = 200
    assert rules.parts_spread(rooms, 1000) == {1: 500, 2: 300, 4: 200}
    # 1001 · 5/10 = 500.5, 300.3, 200.2: the fen left over goes to the largest remainder
    assert rules.parts_spread(rooms, 1001) == {1: 501, 2: 300, 4: 200}
    assert rules.parts_all(rooms) == {1: 5000, 2: 3000, 4: 2000}


def test_what_is_too_much_says_how_much_there_is():
    rooms = [Room(1, 5000, 1000), Room(2, 300, 300)]

    with pytest.raises(RefundExceedsPaid) as beyond:
        rules.parts_spread(rooms, 5301)
    with pytest.raises(RefundNotInPolicy) as refused:
        rules.parts_spread(rooms, 1301)
    with pytest.raises(RefundExceedsPaid) as line:
        rules.parts_asked(rooms, {1: 1000, 2: 301})

    assert beyond.value.detail == {"left_fen": 5300}
    assert refused.value.detail == {"allowed_fen": 1300}
    assert line.value.detail == {"left_fen": 300, "line_no": 2}


@quietly
@given(
    rooms=st.lists(st.tuples(FEN, FEN), min_size=1, max_size=20),
    share=st.integers(min_value=0, max_value=10_000),
)
def test_spread_parts_add_up_and_none_exceeds_its_line(rooms, share):
    made = [Room(n, max(pair), min(pair)) for n, pair in enumerate(rooms, start=1)]
    allowed = sum(room.allowed_fen for room in made)
    fen = allowed * share // 10_000

    parts = rules.parts_spread(made, fen)

    assert sum(parts.values()) == fen
    assert all(0 < parts[no] <= made[no - 1].allowed_fen for no in parts)


@quietly
@given(whole=FEN, parts=st.lists(st.integers(min_value=1, max_value=5000), max_size=30))
def test_the_shares_of_all_parts_add_up_to_the_whole(whole, parts):
    of, before, back = sum(parts), 0, 0

    for part in parts:
        share = rules.share_of(whole, before_fen=before, now_fen=part, of_fen=of)
        assert share >= 0
        before, back = before + part, back + share

    assert back == (whole if parts else 0)


def test_nothing_is_a_share_of_nothing():
    assert rules.share_of(100, before_fen=0, now_fen=0, of_fen=0) == 0


def test_whole_pieces_are_found_where_they_make_the_amount():
    # 10 yuan over three pieces
    pieces = [334, 333, 333]

    assert rules.pieces_exact(pieces, 334) == [0]
    assert rules.pieces_exact(pieces, 666) == [1, 2]
    assert rules.pieces_exact(pieces, 1000) == [0, 1, 2]
    assert rules.pieces_exact(pieces, 335) is None
    assert rules.pieces_within(pieces, 700) == [0, 1]
    assert rules.pieces_within(pieces, 332) == []


@quietly
@given(
    count=st.integers(min_value=1, max_value=99),
    price=st.integers(min_value=1, max_value=99_999),
    data=st.data(),
)
def test_any_number_of_equal_pieces_is_found(count, price, data):
    pieces = [price * (n + 1) // count - price * n // count for n in range(count)]
    chosen = data.draw(st.sets(st.integers(min_value=0, max_value=count - 1)))
    fen = sum(pieces[place] for place in chosen)

    found = rules.pieces_exact(pieces, fen)

    assert found is not None
    assert sum(pieces[place] for place in found) == fen
    assert len(set(found)) == len(found)
