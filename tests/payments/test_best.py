"""The cheapest combination of coupon and points, against trying every one of them."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from incentives.models import Coupon
from incentives.selectors import points_balance
from incentives.services import coupon_claim, coupon_template_save, earning_rule_save, points_earn
from kernel import clock
from kernel.errors import DomainError
from payments.models import Product, Quote
from payments.ports import discount_source
from payments.services import quote_make
from payments.services.pricing import better_than, offer_lines, price_now
from tests.builders import client_for
from tests.payments.conftest import pay

pytestmark = pytest.mark.django_db

_keys = count(1)


@pytest.fixture
def coupon(buyer):
    """`coupon(fen, min_fen=0, scopes=(), days=30)` is claimed by the buyer."""

    def make(fen, min_fen=0, scopes=(), days=30):
        template = coupon_template_save(
            key=f"b{next(_keys)}", title="券", discount_fen=fen, min_fen=min_fen,
            scopes=list(scopes), valid_days=days, budget_count=10,
        )  # fmt: skip
        return coupon_claim(user_id=buyer.pk, template_id=template.pk)

    return make


@pytest.fixture
def points(buyer):
    def make(number):
        earning_rule_save(key="r", kind="comment_approved", points=number)
        points_earn(user_id=buyer.pk, kind="comment_approved", ref="1", points=number)

    return make


def asked(*products):
    return {
        "items": [{"product_id": p.pk, "quantity": 1} for p in products],
        "platform": "android",
    }


def test_the_largest_fitting_coupon_and_as_many_points_as_the_cap_allows(
    buyer, course, coupon, points
):
    points(5000)
    coupon(900)
    large = coupon(2000, min_fen=8000)
    coupon(5000, min_fen=20000)  # below its floor

    quote = quote_make(user=buyer, best=True, **asked(course(price_fen=9900)))

    # 99.00 − 20.00 = 79.00, of which points may pay 30 %: 23.70
    assert (quote.coupon_id, quote.points, quote.payable_fen) == (large.pk, 2370, 5530)


def test_of_two_equal_coupons_the_one_that_expires_first_is_used(buyer, course, coupon):
    coupon(1000, days=60)
    soon = coupon(1000, days=3)
    coupon(1000, days=30)

    assert quote_make(user=buyer, best=True, **asked(course())).coupon_id == soon.pk


def test_no_more_is_used_than_has_an_effect(buyer, course, coupon, points):
    points(5000)
    only = coupon(20000, scopes=["course:*"])

    quote = quote_make(user=buyer, best=True, **asked(course(price_fen=9900)))

    assert (quote.coupon_id, quote.points, quote.payable_fen) == (only.pk, 0, 0)


def test_a_coupon_is_kept_where_points_alone_pay_as_much(settings, buyer, course, coupon, points):
    # A point is worth ¥1, so the cap moves in steps: 10.00 − 3 points = 7.00 without a coupon;
    # with 0.50 off: 9.50 − 2 points (cap 2.85) = 7.50.
    settings.KPAY = replace(settings.KPAY, points_value_fen=100)
    points(3)
    coupon(50)

    quote = quote_make(user=buyer, best=True, **asked(course(price_fen=1000)))

    assert (quote.coupon_id, quote.points, quote.payable_fen) == (None, 3, 700)


@pytest.mark.parametrize("value_fen", [1, 7, 100])
@pytest.mark.parametrize("cap_bp", [0, 3000, 10_000])
@pytest.mark.parametrize("prices", [(9900,), (1200, 3400, 500), (990, 1)])
def test_nothing_that_the_rules_allow_is_cheaper(
    settings, buyer, course, coupon, points, value_fen, cap_bp, prices
):
    settings.KPAY = replace(settings.KPAY, points_value_fen=value_fen, points_cap_bp=cap_bp)
    things = [course(price_fen=fen) for fen in prices]
    points(700)
    for fen, floor, scopes in (
        (300, 0, ()), (500, 1000, ()), (800, 5000, ()), (2500, 0, [things[0].scope]),
        (50, 0, ["course:*"]), (9999, 0, ["membership:vip"]), (1, 0, ()),
    ):  # fmt: skip
        coupon(fen, floor, scopes)
    before = price_now(user=buyer, **asked(*things))
    source, lines = discount_source(), offer_lines(before.before)

    best = source.best(user_id=buyer.pk, lines=lines, payable_fen=before.payable_fen)

    def left(coupon_id, spent):
        try:
            offer = source.offer(
                user_id=buyer.pk, lines=lines, coupon_id=coupon_id, points=spent,
                payable_fen=before.payable_fen,
            )  # fmt: skip
        except DomainError:
            return before.payable_fen
        return before.payable_fen - offer.coupon_fen - offer.points_value_fen

    balance = points_balance(buyer.pk)
    tried = [
        left(coupon_id, spent)
        for coupon_id in [None, *Coupon.objects.values_list("pk", flat=True)]
        for spent in {0, 1, balance // 2, balance - 1, balance}
    ]
    assert before.payable_fen - best.coupon_fen - best.points_value_fen == min(tried)
    assert left(best.coupon_id, best.points) == min(tried)  # and the offer takes it as it is


def test_a_quote_says_what_would_be_cheaper(buyer, course, coupon, points):
    points(100)
    ticket = coupon(2000)
    http = client_for(buyer)
    body = {"items": [{"product_id": str(course(price_fen=9900).pk)}], "platform": "android"}

    plain = http.post("/api/v1/quote", body, format="json").json()
    best = http.post("/api/v1/quote", {**body, "best": True}, format="json").json()
    same = http.post(
        "/api/v1/quote", {**body, "coupon_id": str(ticket.pk), "points": 100}, format="json"
    ).json()

    assert plain["payable_fen"] == 9900
    assert plain["best"] == {
        "coupon_id": str(ticket.pk),
        "points": 100,
        "payable_fen": 7800,
        "saved_fen": 2100,
        "text": "使用「立减20元」和「100 积分抵 1.00 元」，可再省 21.00 元。",
    }
    assert (best["payable_fen"], best["coupon_id"], best["best"]) == (7800, str(ticket.pk), None)
    assert (same["payable_fen"], same["best"]) == (7800, None)


def test_the_best_quote_becomes_an_order_that_charges_it(buyer, course, coupon, points):
    points(100)
    coupon(2000)
    http = client_for(buyer)
    body = {"items": [{"product_id": str(course(price_fen=9900).pk)}], "platform": "android"}
    quote = http.post("/api/v1/quote", {**body, "best": True}, format="json").json()

    order = http.post(
        "/api/v1/orders", {"quote_id": quote["quote_id"]}, format="json",
        headers={"Idempotency-Key": "b"},
    ).json()  # fmt: skip

    assert (order["payable_fen"], order["points_used"]) == (7800, 100)


def test_held_used_and_expired_coupons_do_not_count(buyer, course, coupon, pending):
    held, used, expired = coupon(1000), coupon(1100), coupon(1200)
    pending(course(), coupon_id=held.pk)
    pay(pending(course(), coupon_id=used.pk))
    Coupon.objects.filter(pk=expired.pk).update(expires_at=clock.now() - timedelta(seconds=1))

    priced = price_now(user=buyer, **asked(course()))

    assert better_than(priced, user=buyer) is None


@pytest.mark.parametrize("held", [1, 15])
def test_the_number_of_queries_does_not_depend_on_what_the_buyer_holds(
    buyer, course, coupon, points, held, django_assert_num_queries
):
    points(100)
    for number in range(held):
        coupon(100 + number)
    priced = price_now(user=buyer, **asked(course()))

    with django_assert_num_queries(2):
        better_than(priced, user=buyer)


def test_a_price_is_tried_for_any_moment_and_nothing_is_stored(buyer, course, coupon):
    product = course(price_fen=9900)
    soon = clock.now() + timedelta(days=10)
    Product.objects.filter(pk=product.pk).update(promo_fen=4900, promo_from=soon)
    ticket = coupon(1000, days=5)

    now = price_now(user=buyer, coupon_id=ticket.pk, **asked(product))
    then = price_now(user=buyer, at=soon, **asked(product))
    nobody = price_now(user=None, at=soon, coupon_id=ticket.pk, points=50, **asked(product))

    assert (now.payable_fen, then.payable_fen, nobody.payable_fen) == (8900, 4900, 4900)
    with pytest.raises(DomainError):  # the coupon will have expired by then
        price_now(user=buyer, at=soon, coupon_id=ticket.pk, **asked(product))
    assert not Quote.objects.exists()
