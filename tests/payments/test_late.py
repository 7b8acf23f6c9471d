"""Late money: an order that ended by itself lives again when all that it had is still free."""

from datetime import timedelta

import pytest

from incentives.models import Coupon, PointEntry
from incentives.selectors import points_balance
from incentives.services import coupon_claim, coupon_template_save, earning_rule_save, points_earn
from kernel import clock, outbox
from payments import selectors
from payments.models import Effect, Entitlement, Journal, Order, Payment, Refund
from payments.services import order_end
from payments.services.fulfilment import payment_succeeded
from tests.incentives.conftest import all_at_once
from tests.payments.conftest import attempt, broken, money_for, pay, sums

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet(buyer):
    """A coupon of ¥10 and 1000 points of the buyer."""
    template = coupon_template_save(
        key="t", title="券", discount_fen=1000, min_fen=0, budget_count=9
    )
    earning_rule_save(key="r", kind="comment_approved", points=1000)
    points_earn(user_id=buyer.pk, kind="comment_approved", ref="1", points=1000)
    return coupon_claim(user_id=buyer.pk, template_id=template.pk)


def closed(order):
    """The order after its time is over, its attempt closed at the platform; the attempt."""
    payment = attempt(order)
    Payment.objects.filter(pk=payment.pk).update(status="closed")
    order_end(order_id=order.pk, status="closed")
    return Payment.objects.get(pk=payment.pk)


def test_a_closed_order_takes_late_money(buyer, course, pending):
    product = course(price_fen=9900)
    order = pending(product)
    payment = closed(order)

    for _again in range(2):
        payment_succeeded(facts=money_for(payment))

    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.status, order.ended_at, order.paid_at is not None) == ("paid", None, True)
    assert (payment.status, payment.effective) == ("succeeded", True)
    assert selectors.entitled(buyer.pk, product.scope)
    assert sums(payment.out_trade_no) == {"cash:jsapi": 9900, "revenue": -9900}
    assert not Refund.objects.exists()
    assert Effect.objects.filter(kind="payment").count() == 1
    assert broken() == []


def test_coupon_and_points_are_taken_again(buyer, course, pending, wallet):
    order = pending(course(price_fen=5000), coupon_id=wallet.pk, points=800)
    payment = closed(order)
    free_again = (Coupon.objects.get().status, points_balance(buyer.pk))

    payment_succeeded(facts=money_for(payment))

    order.refresh_from_db()
    assert free_again == ("released", 1000)
    assert order.status == "paid"
    assert (Coupon.objects.get().status, Coupon.objects.get().order_no) == ("redeemed", order.no)
    assert points_balance(buyer.pk) == 200
    entries = PointEntry.objects.filter(order_no=order.no).order_by("pk")
    assert list(entries.values_list("kind", "delta")) == [
        ("spend", -800),
        ("spend_return", 800),
        ("spend", -800),
    ]
    assert sums(payment.out_trade_no)["cash:jsapi"] == 3200
    assert broken() == []


def test_a_coupon_used_meanwhile_sends_the_money_back(buyer, course, pending, wallet):
    order = pending(course(price_fen=5000), coupon_id=wallet.pk, points=800)
    payment = closed(order)
    other = pending(course(price_fen=5000), coupon_id=wallet.pk)

    payment_succeeded(facts=money_for(payment))

    order.refresh_from_db()
    assert order.status == "closed"
    refund = Refund.objects.get()
    assert (refund.cause, refund.amount_fen) == ("late_payment", 3200)
    assert Coupon.objects.get().order_no == other.no
    assert points_balance(buyer.pk) == 1000
    assert sums(payment.out_trade_no) == {"cash:jsapi": 3200, "suspense": -3200}
    assert not Entitlement.objects.exists()
    assert broken() == []


def test_points_spent_meanwhile_free_the_coupon_too(buyer, course, pending, wallet):
    order = pending(course(price_fen=5000), coupon_id=wallet.pk, points=800)
    payment = closed(order)
    pending(course(price_fen=5000), points=900)

    payment_succeeded(facts=money_for(payment))

    order.refresh_from_db()
    assert order.status == "closed"
    assert Refund.objects.get().cause == "late_payment"
    # the coupon was reserved and redeemed before the points were asked for: all undone
    assert (Coupon.objects.get().status, Coupon.objects.get().order_no) == ("released", "")
    assert broken() == []


def test_an_expired_coupon_does_not_come_to_life_again(course, pending, wallet):
    payment = closed(pending(course(price_fen=5000), coupon_id=wallet.pk))
    Coupon.objects.update(expires_at=clock.now() - timedelta(seconds=1))

    payment_succeeded(facts=money_for(payment))

    assert Refund.objects.get().cause == "late_payment"
    assert Order.objects.get().status == "closed"


def test_what_is_owned_meanwhile_is_not_sold_again(course, pending):
    product = course()
    payment = closed(pending(product))
    pay(pending(product))

    payment_succeeded(facts=money_for(payment))

    assert Refund.objects.get().cause == "late_payment"
    assert Entitlement.objects.count() == 1


def test_a_cancelled_order_is_never_revived(course, pending):
    order = pending(course())
    payment = attempt(order)
    Payment.objects.update(status="closed")
    order_end(order_id=order.pk, status="cancelled")

    payment_succeeded(facts=money_for(payment))

    order.refresh_from_db()
    assert (order.status, Refund.objects.get().cause) == ("cancelled", "late_payment")


def test_two_late_payments_of_one_order_pay_it_once(course, pending):
    order = pending(course())
    first = attempt(order)
    Payment.objects.update(status="closed")
    second = closed(order)

    for payment in (first, second):
        payment_succeeded(facts=money_for(payment))

    order.refresh_from_db()
    refund = Refund.objects.get()
    assert order.status == "paid"
    assert (refund.payment, refund.cause) == (second, "duplicate_payment")
    assert broken() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("taken", [False, True])
def test_eight_notifies_at_once_have_one_outcome(buyer, course, pending, wallet, taken):
    order = pending(course(price_fen=5000), coupon_id=wallet.pk, points=800)
    payment = closed(order)
    if taken:
        pending(course(price_fen=5000), coupon_id=wallet.pk)
    facts = money_for(payment)

    results = all_at_once(8, lambda _number: payment_succeeded(facts=facts))

    assert all(isinstance(result, Payment) for result in results), results
    order.refresh_from_db()
    assert order.status == ("closed" if taken else "paid")
    assert Refund.objects.count() == int(taken)
    assert Entitlement.objects.count() == int(not taken)
    assert Effect.objects.filter(kind="payment").count() == 1
    assert Journal.objects.filter(kind="payment").count() == 1
    assert points_balance(buyer.pk) == (1000 if taken else 200)
    assert broken() == []
    outbox.deliver_due()
