"""Orders of the payments app with coupons and points, and what their ends give back."""

from typing import Any

import pytest

from feedback.events import LessonFinished
from incentives.errors import PointsInsufficient
from incentives.handlers import points_back_for_refund, points_for_purchase
from incentives.models import PointEntry, PointsWallet
from incentives.services import coupon_claim, earning_rule_save
from kernel import clock, outbox
from kernel.ids import new_no
from payments.events import OrderPaid, RefundSucceeded
from payments.models import Order, Payment, Refund
from payments.services import order_end, order_make, product_publish
from tests.incentives.conftest import all_at_once, balance_of, deadlocks, entries_of
from tests.payments.conftest import pay


def product(number: int = 1, price_fen: int = 10_000) -> Any:
    return product_publish(
        scope=f"pack:{number}",
        title=f"课程{number}",
        kind="course",
        price_fen=price_fen,
        list_fen=price_fen,
        channels=["jsapi"],
    )


def buy(user: Any, thing: Any, **fields: Any) -> Order:
    return order_make(
        user=user,
        items=[{"product_id": thing.pk, "quantity": 1}],
        platform="android",
        **fields,
    )


def test_an_order_holds_its_coupon_and_points_until_it_is_cancelled(learner, template, earn):
    user = learner()
    earn(user, 500)
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)

    order = buy(user, product(), coupon_id=coupon.pk, points=300)

    assert (order.discount_fen, order.points_used, order.payable_fen) == (2000, 300, 7700)
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order_no) == ("reserved", order.no)
    assert balance_of(user) == 200

    order_end(order_id=order.pk, status="cancelled")

    coupon.refresh_from_db()
    assert (coupon.status, coupon.order_no) == ("released", "")
    assert balance_of(user) == 500
    assert entries_of(user)[1:] == [("spend", -300, order.no), ("spend_return", 300, order.no)]


def test_a_paid_order_uses_its_coupon_up_and_earns_points(learner, template):
    earning_rule_save(key="p", kind="purchase", points=50)
    user = learner()
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)

    order = buy(user, product(), coupon_id=coupon.pk)
    pay(order)
    outbox.deliver_due()

    coupon.refresh_from_db()
    assert (coupon.status, coupon.order_no) == ("redeemed", order.no)
    assert entries_of(user) == [("earn", 50, f"purchase:{order.no}")]
    points_for_purchase(paid_event(order))  # told twice
    assert balance_of(user) == 50


def paid_event(order: Order) -> OrderPaid:
    return OrderPaid(
        order_id=order.pk,
        order_no=order.no,
        user_id=order.user_id,
        scopes=[],
        payable_fen=order.payable_fen,
        paid_at="2026-11-24T00:00:00+08:00",
    )


def test_what_costs_no_money_earns_nothing(learner):
    earning_rule_save(key="p", kind="purchase", points=50)
    user = learner()

    order = buy(user, product(price_fen=0))
    points_for_purchase(paid_event(order))

    assert order.status == "paid"
    assert not PointEntry.objects.filter(user=user).exists()


def refund(order: Order, payment: Payment, amount_fen: int, cause: str = "user") -> RefundSucceeded:
    """A refund that has succeeded, as its event tells it."""
    row = Refund.objects.create(
        order=order,
        payment=payment,
        out_refund_no=new_no(),
        amount_fen=amount_fen,
        cause=cause,
        status="succeeded",
        success_at=clock.now(),
    )
    return RefundSucceeded(
        refund_id=row.pk,
        out_refund_no=row.out_refund_no,
        order_id=order.pk,
        order_no=order.no,
        user_id=order.user_id,
        amount_fen=amount_fen,
        cause=cause,
    )


def test_refunds_take_back_what_the_purchase_earned_once_each(learner):
    earning_rule_save(key="p", kind="purchase", points=10)
    user = learner()
    order = buy(user, product(price_fen=9900))
    payment = pay(order)
    outbox.deliver_due()

    first = refund(order, payment, 3300)
    points_back_for_refund(first)
    points_back_for_refund(first)
    assert balance_of(user) == 7  # 10 · 3300 / 9900 = 3.3: three go
    points_back_for_refund(refund(order, payment, 6600))

    assert balance_of(user) == 0


def test_what_was_spent_meanwhile_becomes_a_shortfall_once(learner):
    earning_rule_save(key="p", kind="purchase", points=10)
    user = learner()
    order = buy(user, product(1))
    payment = pay(order)
    outbox.deliver_due()
    buy(user, product(2), points=8)

    event = refund(order, payment, 10_000)
    points_back_for_refund(event)
    points_back_for_refund(event)

    assert balance_of(user) == 0
    assert PointsWallet.objects.get(user=user).shortfall == 8


def test_a_shortfall_of_the_whole_refund_is_counted_once(learner):
    earning_rule_save(key="p", kind="purchase", points=10)
    user = learner()
    order = buy(user, product(1))
    payment = pay(order)
    outbox.deliver_due()
    buy(user, product(2), points=10)

    event = refund(order, payment, 10_000)
    points_back_for_refund(event)
    points_back_for_refund(event)

    assert PointsWallet.objects.get(user=user).shortfall == 10


def test_late_money_that_goes_back_takes_no_points(learner):
    earning_rule_save(key="p", kind="purchase", points=10)
    user = learner()
    order = buy(user, product())
    payment = pay(order)
    outbox.deliver_due()

    points_back_for_refund(refund(order, payment, 10_000, cause="duplicate_payment"))

    assert balance_of(user) == 10


@pytest.mark.django_db(transaction=True)
def test_64_orders_at_once_spend_exactly_the_balance(learner, earn):
    user = learner()
    earn(user, 700, valid_days=10)
    earn(user, 500, valid_days=20)
    things = [product(number) for number in range(64)]
    before = deadlocks()

    made = all_at_once(64, lambda n: buy(user, things[n], points=100))

    assert {type(one) for one in made} == {Order, PointsInsufficient}
    assert sum(isinstance(one, Order) for one in made) == 12
    assert balance_of(user) == 0
    assert Order.objects.count() == 12
    assert deadlocks() == before


@pytest.mark.django_db(transaction=True)
def test_orders_that_share_coupons_and_points_never_wait_in_a_ring(learner, template, earn):
    """One user makes, cancels and pays orders at once, each with coupon and points."""
    user = learner()
    earn(user, 1000, valid_days=20)
    rule = template(per_user=16, min_fen=0)
    coupons = [coupon_claim(user_id=user.pk, template_id=rule.pk) for _ in range(16)]
    things = [product(number) for number in range(32)]
    before = deadlocks()

    def one(number: int) -> Order:
        order = buy(user, things[number], coupon_id=coupons[number // 2].pk, points=100)
        if number % 4 < 2:
            order_end(order_id=order.pk, status="cancelled")
        return order

    made = all_at_once(32, one)

    assert all(isinstance(m, Order) or m.status in {404, 409} for m in made), made
    living = Order.objects.filter(status="pending")
    assert balance_of(user) == 1000 - sum(order.points_used for order in living)
    held = {coupon.pk for coupon in coupons if refreshed(coupon).status == "reserved"}
    assert held == {order.coupon_id for order in living}
    assert deadlocks() == before


def refreshed(row: Any) -> Any:
    row.refresh_from_db()
    return row


@pytest.mark.django_db(transaction=True)
def test_64_order_calls_over_http_spend_exactly_the_balance(learner, api_for, earn):
    user = learner()
    earn(user, 1000)
    things = [product(number) for number in range(64)]
    clients = [api_for(user) for _ in range(64)]
    before = deadlocks()

    def order(number: int) -> Any:
        body = {
            "items": [{"product_id": str(things[number].pk), "quantity": 1}],
            "platform": "android",
            "points": 100,
        }
        headers = {"Idempotency-Key": f"k{number}"}
        return clients[number].post("/api/v1/orders", body, headers=headers)

    replies = all_at_once(64, order)

    assert sorted(reply.status_code for reply in replies) == [201] * 10 + [409] * 54
    refused = {r.json()["error"]["code"] for r in replies if r.status_code == 409}
    assert refused == {"points_insufficient"}
    assert balance_of(user) == 0
    assert deadlocks() == before


def test_a_finished_lesson_that_is_told_through_the_outbox_earns_once(learner):
    earning_rule_save(key="lf", kind="lesson_finished", points=8)
    user = learner()
    event = LessonFinished(user_id=user.pk, lesson_id=5, course_id=1)

    for _ in range(2):
        outbox.publish(event)
    outbox.deliver_due()

    assert entries_of(user) == [("earn", 8, "lesson_finished:5")]
