"""Quotes, orders and what makes them paid, without the platform."""

from datetime import timedelta

import pytest

from kernel import clock
from payments import selectors
from payments.errors import AlreadyOwned, FactsDiffer, QuoteExpired, QuoteUsed
from payments.models import Effect, Entitlement, Journal, Order, Payment, Quote, Refund
from payments.ports import Discounts, NoDiscounts, register_discount_source
from payments.rules import RefundFacts
from payments.services import entitlement_grant, entitlement_revoke, order_make, quote_make
from payments.services.attempts import payment_open
from payments.services.endings import order_end
from payments.services.fulfilment import payment_succeeded
from payments.services.quotes import quotes_forget
from payments.services.refunds import refund_told
from tests.payments.conftest import attempt, money_for, pay, sums

pytestmark = pytest.mark.django_db


class Told(NoDiscounts):
    """Offers 20.00 off and 300 points, and remembers what it was told."""

    def __init__(self):
        self.calls = []

    def offer(self, **asked):
        return Discounts(coupon_id=5, coupon_fen=2000, points=300, points_value_fen=300)

    def reserve(self, order):
        self.calls.append(("reserve", order.coupon_fen, order.points))

    def redeem(self, order):
        self.calls.append(("redeem", order.coupon_fen, order.points))

    def release(self, order):
        self.calls.append(("release", order.coupon_fen, order.points))


@pytest.fixture
def discounts():
    from payments.ports import discount_source

    before, source = discount_source(), Told()
    register_discount_source(source)
    yield source
    register_discount_source(before)


def test_a_paid_order_gives_its_right_and_balances_its_journal(buyer, course, pending):
    product = course(price_fen=9900, list_fen=19900)
    order = pending(product)

    payment = pay(order)

    order.refresh_from_db()
    assert (order.status, order.total_fen, order.discount_fen, order.payable_fen) == (
        "paid",
        19900,
        10000,
        9900,
    )
    assert payment.effective
    assert selectors.entitled(buyer.pk, product.scope)
    assert sums(payment.out_trade_no) == {"cash:jsapi": 9900, "discounts": 10000, "revenue": -19900}


def test_the_same_news_again_changes_nothing(course, pending):
    payment = pay(pending(course()))

    payment_succeeded(facts=money_for(payment))

    assert Entitlement.objects.count() == 1
    assert Journal.objects.count() == 1
    assert Effect.objects.filter(kind="payment").count() == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"amount_fen": 1},
        {"amount_fen": None},
        {"transaction_id": ""},
        {"out_trade_no": "other"},
        {"payer_openid": "someone else"},
    ],
)
def test_facts_that_differ_have_no_effect(course, pending, changed):
    payment = attempt(pending(course()))
    Payment.objects.filter(pk=payment.pk).update(payer_openid="the buyer")

    facts = money_for(payment, **{"payer_openid": "the buyer", **changed})
    with pytest.raises(FactsDiffer):
        payment_succeeded(facts=facts)

    assert Payment.objects.get().status == "created"
    assert not Journal.objects.exists()


def test_one_transaction_can_not_pay_two_orders(course, pending):
    first = pay(pending(course()))
    other = attempt(pending(course()))

    with pytest.raises(FactsDiffer):
        payment_succeeded(
            facts=money_for(other, transaction_id=first.transaction_id),
        )


def test_money_for_a_cancelled_order_goes_back_in_full_once(course, pending):
    order = pending(course(price_fen=9900))
    payment = attempt(order)
    Payment.objects.update(status="closed")
    order_end(order_id=order.pk, status="cancelled")

    for _again in range(2):
        payment_succeeded(facts=money_for(payment))

    refund = Refund.objects.get()
    assert (refund.amount_fen, refund.cause, refund.status) == (9900, "late_payment", "requested")
    payment.refresh_from_db()
    assert (payment.status, payment.effective, payment.refunding_fen) == ("succeeded", False, 9900)
    assert sums(payment.out_trade_no) == {"cash:jsapi": 9900, "suspense": -9900}
    assert not Entitlement.objects.exists()
    assert Order.objects.get().status == "cancelled"


def test_a_refund_that_succeeds_is_booked_out_once(course, pending):
    order = pending(course(price_fen=9900))
    payment = attempt(order)
    Payment.objects.update(status="closed")
    order_end(order_id=order.pk, status="cancelled")
    payment_succeeded(facts=money_for(payment))
    refund = Refund.objects.get()

    for status in ("PROCESSING", "SUCCESS", "PROCESSING", "SUCCESS"):
        refund_told(
            refund_id=refund.pk,
            facts=RefundFacts(
                out_refund_no=refund.out_refund_no,
                out_trade_no=payment.out_trade_no,
                refund_id="5000",
                status=status,
                refund_fen=9900,
                success_at=None,
            ),
        )

    refund.refresh_from_db()
    payment.refresh_from_db()
    assert refund.status == "succeeded"
    assert (payment.refunding_fen, payment.refunded_fen) == (0, 9900)
    assert sums(refund.out_refund_no) == {"suspense": 9900, "cash:jsapi": -9900}
    assert Order.objects.get().refunded_fen == 0


def test_a_stray_refund_that_the_platform_closed_is_asked_for_under_a_new_number(course, pending):
    order = pending(course(price_fen=9900))
    payment = attempt(order)
    Payment.objects.update(status="closed")
    order_end(order_id=order.pk, status="cancelled")
    payment_succeeded(facts=money_for(payment))
    refund = Refund.objects.get()

    refund_told(
        refund_id=refund.pk,
        facts=RefundFacts(refund.out_refund_no, payment.out_trade_no, "5", "CLOSED", 9900, None),
    )

    assert sorted(Refund.objects.values_list("status", flat=True)) == ["closed", "requested"]
    payment.refresh_from_db()
    assert payment.refunding_fen == 9900


def test_money_for_what_is_owned_meanwhile_is_double_money(buyer, course, pending):
    product = course()
    first, second = pending(product), pending(product)
    attempts = [attempt(first), attempt(second)]

    for payment in attempts:
        payment_succeeded(facts=money_for(payment))

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("paid", "closed")
    assert Refund.objects.get().cause == "duplicate_payment"
    assert Entitlement.objects.filter(user=buyer).count() == 1


def test_a_second_payment_of_a_paid_order_goes_back(course, pending):
    order = pending(course(price_fen=9900))
    attempts = [attempt(order), payment_open(order_id=order.pk, channel="native", payer_openid="")]

    for payment in attempts:
        payment_succeeded(facts=money_for(payment))

    refund = Refund.objects.get()
    assert (refund.payment, refund.cause) == (attempts[1], "duplicate_payment")
    assert list(Payment.objects.order_by("pk").values_list("effective", flat=True)) == [True, False]
    assert Order.objects.get().status == "paid"


def test_another_open_attempt_of_a_paid_order_is_closed_soon(course, pending):
    order = pending(course())
    paid = attempt(order)
    other = payment_open(order_id=order.pk, channel="native", payer_openid="")

    payment_succeeded(facts=money_for(paid))

    other.refresh_from_db()
    assert other.next_check_at <= clock.now()


def test_unused_quotes_are_forgotten_after_a_week(buyer, course, pending):
    items = [{"product_id": course().pk, "quantity": 1}]
    order = pending(course())
    fresh = quote_make(user=buyer, items=items, platform="android")
    old = quote_make(user=buyer, items=items, platform="android")
    long_ago = clock.now() - timedelta(days=8)
    Quote.objects.filter(pk__in=[old.pk, order.quote_id]).update(expires_at=long_ago)

    assert quotes_forget() == 1
    assert set(Quote.objects.values_list("pk", flat=True)) == {fresh.pk, order.quote_id}


def test_what_is_owned_is_not_sold_again(course, pending):
    product = course()
    pay(pending(product))

    with pytest.raises(AlreadyOwned) as refused:
        pending(product)

    assert refused.value.detail == {"scopes": [product.scope]}


def test_a_membership_period_starts_where_the_last_one_ends(buyer, plan, pending):
    month, year = plan("month"), plan("year")
    pay(pending(month.product))
    pay(pending(year.product))

    first, second = Entitlement.objects.order_by("pk")
    assert second.valid_from == first.valid_until
    assert selectors.entitled(buyer.pk, "membership:vip")
    assert selectors.entitlement_for(buyer.pk, ["membership:vip"]) == first


def test_a_lifetime_member_is_sold_no_further_period(plan, pending):
    pay(pending(plan("lifetime").product))

    with pytest.raises(AlreadyOwned):
        pending(plan("month").product)


def test_a_member_pays_the_member_price(buyer, course, plan, pending):
    product = course(price_fen=9900)
    product.member_fen = 6900
    product.save()
    before = pending(product).payable_fen
    pay(pending(plan("month").product))

    assert (before, pending(product).payable_fen) == (9900, 6900)


def test_an_order_over_nothing_is_paid_at_once(buyer, course, pending):
    product = course(price_fen=0, list_fen=9900)

    order = pending(product)

    assert order.status == "paid"
    assert selectors.entitled(buyer.pk, product.scope)
    assert not Payment.objects.exists()
    assert sums(order.no) == {"discounts": 9900, "revenue": -9900}


def test_an_order_charges_its_quote_whatever_the_price_is_now(buyer, course):
    product = course(price_fen=9900)
    quote = quote_make(
        user=buyer, items=[{"product_id": product.pk, "quantity": 1}], platform="android"
    )
    product.price_fen = product.list_fen = 20000
    product.save()

    order = order_make(user=buyer, quote_id=quote.pk)

    assert order.payable_fen == 9900


def test_a_quote_makes_one_order_and_only_in_time(buyer, course):
    items = [{"product_id": course().pk, "quantity": 1}]
    used = quote_make(user=buyer, items=items, platform="android")
    order = order_make(user=buyer, quote_id=used.pk)
    late = quote_make(user=buyer, items=items, platform="android")
    Quote.objects.filter(pk=late.pk).update(expires_at=clock.now() - timedelta(seconds=1))

    with pytest.raises(QuoteUsed) as refused:
        order_make(user=buyer, quote_id=used.pk)
    with pytest.raises(QuoteExpired):
        order_make(user=buyer, quote_id=late.pk)

    assert refused.value.detail == {"order_no": order.no}


def test_coupon_and_points_follow_their_order(discounts, course, pending):
    order = pending(course(price_fen=9900), coupon_id=5, points=1000)
    payment = pay(order)
    died = pending(course(price_fen=9900), coupon_id=5, points=1000)
    order_end(order_id=died.pk, status="cancelled")

    assert (order.payable_fen, order.coupon_fen, order.points_used) == (7600, 2000, 300)
    assert discounts.calls == [
        ("reserve", 2000, 300),
        ("redeem", 2000, 300),
        ("reserve", 2000, 300),
        ("release", 2000, 300),
    ]
    assert sums(payment.out_trade_no) == {
        "cash:jsapi": 7600,
        "discounts": 2000,
        "points_liability": 300,
        "revenue": -9900,
    }


def test_an_order_with_an_open_attempt_does_not_end(course, pending):
    order = pending(course())
    attempt(order)

    assert order_end(order_id=order.pk, status="cancelled") is None
    assert Order.objects.get().status == "pending"


def test_each_source_gives_and_loses_its_own_right(buyer, course, pending):
    product = course()
    order = pending(product)
    pay(order)
    grant = {"user_id": buyer.pk, "scope": product.scope, "source": "gift", "source_ref": "g1"}
    entitlement_grant(**grant)
    entitlement_grant(**grant)

    entitlement_revoke(source="order", source_ref=order.no)

    assert Entitlement.objects.count() == 2
    assert selectors.entitled_scopes(buyer.pk) == {product.scope}
    assert selectors.entitlement_for(buyer.pk, [product.scope]).source == "gift"
