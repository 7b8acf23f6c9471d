"""Price rules, worked out by hand and by properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import InvariantBroken
from payments import rules
from payments.ports import Discounts

A_DAY = datetime(2026, 1, 31, 4, 0, tzinfo=UTC)  # noon in Shanghai


def item(line_no: int = 1, **fields: object) -> rules.Item:
    values: dict[str, object] = {
        "line_no": line_no,
        "product_id": line_no,
        "kind": "course",
        "title": "课",
        "scope": f"course:{line_no}",
        "period": "",
        "quantity": 1,
        "list_fen": 10000,
        "price_fen": 10000,
        "promo_fen": 10000,
    }
    return rules.Item(**{**values, **fields})  # type: ignore[arg-type]


def test_each_rule_of_the_fixed_order_takes_its_part_and_explains_it():
    line = rules.price_line(item(list_fen=19900, price_fen=15000, promo_fen=9900, member_fen=8800))

    (priced,) = rules.apply_discounts(
        [line],
        Discounts(
            coupon_id=7,
            coupon_fen=2000,
            coupon_text="满50减20",
            points=300,
            points_value_fen=300,
            points_text="300 积分抵 3.00 元",
        ),
    )

    assert [(s.rule, s.amount_fen) for s in priced.steps] == [
        ("list", 19900),
        ("price", -4900),
        ("promotion", -5100),
        ("member", -1100),
        ("coupon", -2000),
        ("points", -300),
    ]
    assert priced.payable_fen == 6500
    assert priced.discount_fen == 13100
    assert priced.points_value_fen == 300


def test_a_member_price_above_the_promotion_changes_nothing():
    line = rules.price_line(item(promo_fen=5000, member_fen=8000))

    assert [s.rule for s in line.steps] == ["list", "promotion"]
    assert line.payable_fen == 5000


def test_a_coupon_is_spread_by_largest_remainder():
    # 100 over 3334 : 3333 : 3333 of 10000 → 33.34, 33.33, 33.33: the fen left goes to the first.
    prices = (3334, 3333, 3333)
    lines = [
        rules.price_line(item(n, list_fen=fen, price_fen=fen, promo_fen=fen))
        for n, fen in enumerate(prices, start=1)
    ]

    priced = rules.apply_discounts(lines, Discounts(coupon_id=1, coupon_fen=100))

    assert [line.discount_fen for line in priced] == [34, 33, 33]
    assert [line.payable_fen for line in priced] == [3300, 3300, 3300]


def test_a_coupon_counts_only_for_its_lines():
    lines = [rules.price_line(item(1)), rules.price_line(item(2))]

    priced = rules.apply_discounts(lines, Discounts(coupon_fen=500, coupon_lines=(2,)))

    assert [line.payable_fen for line in priced] == [10000, 9500]


def test_a_coupon_above_the_price_stops_at_zero():
    (priced,) = rules.apply_discounts(
        [rules.price_line(item(list_fen=990, price_fen=990, promo_fen=990))],
        Discounts(coupon_id=1, coupon_fen=2000),
    )

    assert priced.payable_fen == 0
    assert priced.discount_fen == 990


def test_points_worth_more_than_what_is_left_are_a_fault_of_the_source():
    with pytest.raises(InvariantBroken):
        rules.apply_discounts(
            [rules.price_line(item())], Discounts(points=10001, points_value_fen=10001)
        )


@given(
    prices=st.lists(st.integers(0, 10**8), min_size=1, max_size=12),
    coupon=st.integers(0, 10**9),
    share=st.integers(0, 10**4),
)
def test_no_fen_is_made_or_lost_and_nothing_goes_below_zero(prices, coupon, share):
    lines = [
        rules.price_line(item(n, list_fen=fen, price_fen=fen, promo_fen=fen))
        for n, fen in enumerate(prices, start=1)
    ]
    taken = min(coupon, sum(prices))
    points = (sum(prices) - taken) * share // 10**4

    priced = rules.apply_discounts(
        lines, Discounts(coupon_fen=coupon, points=points, points_value_fen=points)
    )

    assert sum(line.payable_fen for line in priced) == sum(prices) - taken - points
    assert all(line.payable_fen >= 0 for line in priced)
    assert all(sum(s.amount_fen for s in line.steps) == line.payable_fen for line in priced)


@pytest.mark.parametrize(
    ("period", "ends"),
    [
        ("month", datetime(2026, 2, 28, 4, 0, tzinfo=UTC)),
        ("quarter", datetime(2026, 4, 30, 4, 0, tzinfo=UTC)),
        ("year", datetime(2027, 1, 31, 4, 0, tzinfo=UTC)),
        ("lifetime", None),
    ],
)
def test_a_period_is_counted_in_calendar_months_of_the_shop(period, ends):
    assert rules.period_end(A_DAY, period) == ends


def test_the_query_plan_is_walked_by_its_gaps_and_never_ends():
    plan = (5, 30, 60, 180)

    assert [rules.gap_seconds(plan, done) for done in range(6)] == [5, 25, 30, 120, 120, 120]


@pytest.mark.parametrize(
    ("now", "then"), [("paid", "pending"), ("cancelled", "paid"), ("refunded", "paid")]
)
def test_an_order_never_goes_back(now, then):
    with pytest.raises(InvariantBroken):
        rules.may_move(rules.ORDER_MOVES, now, then)


def test_a_promotion_holds_between_its_dates(course):
    product = course(price_fen=9900)
    product.promo_fen = 4900
    product.promo_from, product.promo_until = A_DAY, A_DAY + timedelta(days=7)

    assert product.price_at(A_DAY - timedelta(seconds=1)) == 9900
    assert product.price_at(A_DAY) == 4900
    assert product.price_at(A_DAY + timedelta(days=7)) == 9900
