"""Orders with the shop's own coupons and points (`incentives`) behind the port."""

from dataclasses import replace

import pytest

from incentives.models import Coupon
from incentives.selectors import points_balance
from incentives.services import coupon_claim, coupon_template_save, earning_rule_save, points_earn
from payments.services import quote_make
from payments.services.endings import order_end
from tests.payments.conftest import pay, sums

pytestmark = pytest.mark.django_db


@pytest.fixture
def coupon(buyer):
    """`coupon(fen)` is claimed by the buyer."""

    def make(fen):
        template = coupon_template_save(
            key="t", title="券", discount_fen=fen, min_fen=0, budget_count=10
        )
        return coupon_claim(user_id=buyer.pk, template_id=template.pk)

    return make


@pytest.fixture
def points(buyer):
    """`points(n)` are in the buyer's wallet."""

    def make(number):
        earning_rule_save(key="r", kind="comment_approved", points=number)
        points_earn(user_id=buyer.pk, kind="comment_approved", ref="1", points=number)

    return make


def test_coupon_and_points_are_spent_with_the_order(buyer, course, pending, coupon, points):
    points(1000)
    ticket = coupon(1000)

    order = pending(course(price_fen=5000), coupon_id=ticket.pk, points=800)
    payment = pay(order)

    # 50.00 − 10.00 = 40.00; 800 points are worth 8.00, below the cap of 30 % (12.00)
    assert (order.discount_fen, order.points_used, order.payable_fen) == (1000, 800, 3200)
    assert Coupon.objects.get().status == "redeemed"
    assert points_balance(buyer.pk) == 200
    assert sums(payment.out_trade_no) == {
        "cash:jsapi": 3200,
        "discounts": 1000,
        "points_liability": 800,
        "revenue": -5000,
    }


def test_both_are_free_again_when_the_order_dies(buyer, course, pending, coupon, points):
    points(1000)
    ticket = coupon(1000)
    order = pending(course(price_fen=5000), coupon_id=ticket.pk, points=800)
    held = (Coupon.objects.get().status, points_balance(buyer.pk))

    order_end(order_id=order.pk, status="closed")

    assert held == ("reserved", 200)
    assert Coupon.objects.get().status in ("issued", "released")
    assert points_balance(buyer.pk) == 1000


def test_a_coupon_that_covers_everything_pays_at_once(course, pending, coupon):
    order = pending(course(price_fen=990), coupon_id=coupon(2000).pk)

    assert (order.status, order.payable_fen, order.coupon_fen) == ("paid", 0, 990)
    assert Coupon.objects.get().status == "redeemed"


def test_coupon_and_points_may_cover_everything_where_the_shop_allows_it(
    settings, buyer, course, pending, coupon, points
):
    settings.KPAY = replace(settings.KPAY, points_cap_bp=10_000)
    points(1000)

    order = pending(course(price_fen=1500), coupon_id=coupon(1000).pk, points=1000)

    assert (order.status, order.points_used) == ("paid", 500)
    assert Coupon.objects.get().status == "redeemed"
    assert points_balance(buyer.pk) == 500
    assert sums(order.no) == {"discounts": 1000, "points_liability": 500, "revenue": -1500}


def test_a_quote_reserves_nothing(buyer, course, coupon, points):
    points(1000)
    ticket = coupon(1000)

    quote_make(
        user=buyer,
        items=[{"product_id": course(price_fen=5000).pk, "quantity": 1}],
        platform="android",
        coupon_id=ticket.pk,
        points=800,
    )

    assert Coupon.objects.get().status == "issued"
    assert points_balance(buyer.pk) == 1000
