"""Buying together: seats, completion, failure, and what one member's refund leaves alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from incentives.selectors import points_balance
from incentives.services import earning_rule_save, points_earn
from kernel import clock, outbox
from kernel.errors import NotFound
from payments import selectors, tasks
from payments.errors import AlreadyInGroup, AlreadyOwned, GroupFull, GroupOver, NotSoldHere
from payments.models import (
    Entitlement,
    Group,
    GroupOffer,
    Order,
    Payment,
    Product,
    Refund,
    XpayItem,
)
from payments.rules import RefundFacts
from payments.services import order_end
from payments.services.fulfilment import payment_succeeded
from payments.services.groups import group_join, group_start
from payments.services.refunds import refund_request, refund_told
from tests.builders import client_for, make_learner
from tests.incentives.conftest import all_at_once, deadlocks
from tests.payments.conftest import attempt, broken, make_buyer, money_for, pay, sums

pytestmark = pytest.mark.django_db


@pytest.fixture
def offer(course):
    """`offer(price_fen=6900, size=3)` runs on a course of ¥99."""

    def make(price_fen=6900, size=3, product=None, **fields):
        product = product or course(price_fen=9900)
        return GroupOffer.objects.create(product=product, price_fen=price_fen, size=size, **fields)

    return make


def start(offer, user=None, **fields):
    return group_start(user=user or make_learner(), offer_id=offer.pk, platform="android", **fields)


def join(group, user=None, **fields):
    _group, order = group_join(
        user=user or make_learner(), group_id=group.pk, platform="android", **fields
    )
    return order


def now(row):
    row.refresh_from_db()
    return row


def overdue(group):
    """The group's time is over."""
    ago = clock.now() - timedelta(seconds=1)
    Group.objects.filter(pk=group.pk).update(
        created_at=ago - timedelta(hours=1), expires_at=ago, next_sweep_at=ago
    )


def closed_attempt(order):
    payment = attempt(order)
    Payment.objects.filter(pk=payment.pk).update(status="closed")
    return payment


def refunded(order):
    """The member's money has gone back in full."""
    refund = refund_request(order_id=order.pk, by=order.user, reason="不想学了")
    payment = refund.payment
    refund_told(
        refund_id=refund.pk,
        facts=RefundFacts(
            refund.out_refund_no, payment.out_trade_no, "50", "SUCCESS", refund.amount_fen, None
        ),
    )


def test_a_group_is_complete_when_the_last_member_has_paid(offer):
    group, first = start(offer(size=2))
    second = join(group)

    pay(first)
    half = (now(group).status, group.paid_count)
    opened = selectors.entitled(first.user_id, first.lines.get().scope)
    pay(second)

    assert (half, opened) == (("open", 1), True)  # access from one's own payment on
    assert (now(group).status, group.paid_count, group.next_sweep_at) == ("complete", 2, None)
    assert group.ended_at is not None
    assert broken() == []


def test_the_price_of_a_group_stands_in_place_of_the_shops(offer, course):
    product = course(price_fen=9900, list_fen=19900)
    product.promo_fen = 6500
    product.save()

    _group, order = start(offer(6900, product=product))

    steps = [(s["rule"], s["amount_fen"]) for s in order.lines.get().steps]
    assert steps == [("list", 19900), ("group", -13000), ("promotion", -400)]
    assert order.payable_fen == 6500


def test_a_group_dearer_than_the_shop_costs_what_the_shop_costs(offer, course):
    _group, order = start(offer(9900, product=course(price_fen=5000, list_fen=9900)))

    assert order.payable_fen == 5000


def test_a_bundle_is_bought_together_too(offer, course, bundle):
    made = bundle(course(price_fen=9900), course(price_fen=4900), price_fen=12000)

    _group, order = start(offer(10000, product=made))

    assert [line.payable_fen for line in order.lines.order_by("line_no")] == [6689, 3311]
    assert order.lines.first().steps[1]["rule"] == "group"


def test_points_are_allowed_up_to_the_cap_and_never_the_whole_price(settings, offer):
    user = make_learner()
    earning_rule_save(key="r", kind="comment_approved", points=9000)
    points_earn(user_id=user.pk, kind="comment_approved", ref="1", points=9000)

    _group, order = start(offer(6900), user, points=9000)
    settings.KPAY = replace(settings.KPAY, points_cap_bp=10_000)
    _group, whole = start(offer(1000), user, points=5000)

    assert (order.points_used, order.payable_fen) == (2070, 4830)
    assert (whole.points_used, whole.payable_fen) == (999, 1)


def test_what_costs_nothing_is_bought_alone(offer, course):
    product = course(price_fen=9900)
    Product.objects.filter(pk=product.pk).update(promo_fen=0)

    with pytest.raises(NotSoldHere):
        start(offer(6900, product=product))

    assert not Group.objects.exists()


def test_there_are_never_more_living_members_than_seats(offer):
    group, first = start(offer(size=2))
    second = join(group)

    with pytest.raises(GroupFull) as refused:
        join(group)
    order_end(order_id=second.pk, status="cancelled")
    third = join(group)

    assert refused.value.detail == {"size": 2}
    assert {first.status, third.status} == {"pending"}


def test_nobody_sits_twice_in_one_group(buyer, offer):
    group, order = start(offer(), buyer)

    with pytest.raises(AlreadyInGroup) as refused:
        join(group, buyer)

    assert refused.value.detail == {"order_no": order.no}


def test_an_owner_joins_nothing(buyer, offer, pending):
    made = offer()
    group, _order = start(made)
    pay(pending(made.product))

    with pytest.raises(AlreadyOwned):
        join(group, buyer)


def test_a_group_that_is_over_takes_nobody(offer):
    full, first = start(offer(size=2))
    pay(first)
    pay(join(full))
    late, _order = start(offer())
    overdue(late)

    for group in (full, late):
        with pytest.raises(GroupOver):
            join(group)


def test_an_order_ends_with_its_group_at_the_latest(settings, offer):
    settings.KPAY = replace(settings.KPAY, order_expiry_seconds=100 * 3600)

    group, order = start(offer(hours=1))

    assert order.expires_at == group.expires_at


def test_an_offer_may_change_and_its_groups_do_not(offer):
    made = offer(6900)
    group, _order = start(made)
    GroupOffer.objects.filter(pk=made.pk).update(price_fen=8900, size=9, active=False)

    assert join(group).payable_fen == 6900
    with pytest.raises(NotFound):
        start(made)


def test_a_refund_of_one_member_frees_a_seat_and_touches_nobody_else(offer):
    group, first = start(offer(size=3))
    second = join(group)
    pay(first)
    pay(second)

    refunded(first)

    assert (now(group).status, group.paid_count) == ("open", 1)
    assert now(second).status == "paid"
    assert selectors.entitled(second.user_id, second.lines.get().scope)
    pay(join(group))
    pay(join(group, first.user))  # and whoever left may come back
    assert (now(group).status, group.paid_count) == ("complete", 3)
    assert broken() == []


def test_a_complete_group_survives_a_refund(offer):
    group, first = start(offer(size=2))
    second = join(group)
    pay(first)
    pay(second)

    refunded(first)

    assert (now(group).status, now(first).status, now(second).status) == (
        "complete",
        "refunded",
        "paid",
    )


def test_a_group_that_did_not_fill_gives_everybody_their_money_back(offer):
    group, first = start(offer(size=4))
    second, third = join(group), join(group)
    pay(first)
    pay(second)
    overdue(group)

    tasks.end_groups()

    assert (now(group).status, group.next_sweep_at) == ("failed", None)
    assert now(third).status == "closed"
    refunds = Refund.objects.order_by("pk")
    assert [(r.order, r.amount_fen, r.cause, r.reason) for r in refunds] == [
        (first, 6900, "operator", "未成团"),
        (second, 6900, "operator", "未成团"),
    ]
    assert tasks.end_groups() == 0
    assert broken() == []


def test_a_group_is_ended_where_a_killed_sweep_left_off(offer):
    group, first = start(offer(size=3))
    pay(first)
    second = join(group)
    pay(second)
    overdue(group)
    Group.objects.update(status="failed", ended_at=clock.now())
    refund_request(order_id=first.pk, by=first.user, reason="自己先退了")

    tasks.end_groups()

    assert sorted(Refund.objects.values_list("order_id", "cause")) == [
        (first.pk, "user"),
        (second.pk, "operator"),
    ]
    assert now(group).next_sweep_at is None


def test_money_for_a_group_that_failed_goes_back(offer):
    group, first = start(offer(size=3))
    payment, late = attempt(first), join(group)
    late_payment = closed_attempt(late)
    order_end(order_id=late.pk, status="closed")
    Group.objects.update(status="failed", ended_at=clock.now())

    for row in (payment, late_payment):
        payment_succeeded(facts=money_for(row))

    assert {now(first).status, now(late).status} == {"closed"}
    assert set(Refund.objects.values_list("cause", flat=True)) == {"late_payment"}
    assert now(group).paid_count == 0
    assert not Entitlement.objects.exists()
    assert broken() == []


def test_late_money_takes_a_free_seat_and_points_again(offer):
    user = make_learner()
    earning_rule_save(key="r", kind="comment_approved", points=100)
    points_earn(user_id=user.pk, kind="comment_approved", ref="1", points=100)
    group, order = start(offer(size=2), user, points=100)
    payment = closed_attempt(order)
    order_end(order_id=order.pk, status="closed")

    payment_succeeded(facts=money_for(payment))

    assert (now(order).status, now(group).paid_count) == ("paid", 1)
    assert points_balance(user.pk) == 0
    assert broken() == []


def test_late_money_without_a_seat_goes_back(offer):
    group, order = start(offer(size=2))
    payment = closed_attempt(order)
    order_end(order_id=order.pk, status="closed")
    join(group)
    join(group)

    payment_succeeded(facts=money_for(payment))

    assert (now(order).status, Refund.objects.get().cause) == ("closed", "late_payment")
    assert sums(payment.out_trade_no) == {"cash:jsapi": 6900, "suspense": -6900}
    assert now(group).paid_count == 0


def test_late_money_of_who_sits_there_again_goes_back(buyer, offer):
    group, order = start(offer(size=3), buyer)
    payment = closed_attempt(order)
    order_end(order_id=order.pk, status="closed")
    again = join(group, buyer)

    payment_succeeded(facts=money_for(payment))

    assert (now(order).status, now(again).status) == ("closed", "pending")
    assert Refund.objects.get().cause == "late_payment"


def test_the_api_of_a_group(buyer, offer):
    made = offer(size=2, hours=5)
    XpayItem.objects.update(state="published", usable_at=made.created_at)  # sold on ios too
    http, friend = client_for(buyer), make_learner()
    key = {"Idempotency-Key": "g"}
    body = {"product_id": str(made.product_id), "platform": "android"}

    shown = http.get(f"/api/v1/products/{made.product_id}").json()
    listed = http.get(f"/api/v1/groups/offers?product_id={made.product_id}").json()
    started = http.post("/api/v1/groups", body, format="json", headers=key)
    replayed = http.post("/api/v1/groups", body, format="json", headers=key)
    number = started.json()["group"]["id"]
    joined = client_for(friend).post(
        f"/api/v1/groups/{number}/join", {"platform": "ios"}, format="json", headers=key
    )
    seen = client_for(make_learner()).get(f"/api/v1/groups/{number}").json()

    assert shown["group"] == {
        "offer_id": str(made.pk),
        "price_fen": 6900,
        "size": 2,
        "hours": 5,
    }
    assert [item["offer_id"] for item in listed["items"]] == [str(made.pk)]
    assert started.status_code == joined.status_code == 201
    assert started.json() == replayed.json()
    assert started.json()["order"]["payable_fen"] == 6900
    assert started.json()["order"]["group_id"] == number
    assert (seen["status"], seen["size"], seen["paid_count"]) == ("open", 2, 0)
    assert [(m["nickname"], m["paid"]) for m in seen["members"]] == [
        (buyer.nickname, False),
        (friend.nickname, False),
    ]
    assert http.get("/api/v1/groups/999999").status_code == 404


def test_bad_groups_are_refused(buyer, offer):
    made, http = offer(), client_for(buyer)
    ids = {"product_id": str(made.product_id), "offer_id": str(made.pk), "platform": "android"}

    replies = [
        http.post("/api/v1/groups", body, format="json", headers={"Idempotency-Key": str(n)})
        for n, body in enumerate(
            (ids, {"platform": "android"}, {**ids, "offer_id": None, "product_id": "0"}, ids)
        )
    ]
    keyless = http.post("/api/v1/groups", ids, format="json")

    assert [r.status_code for r in replies] == [400, 400, 404, 400]
    assert keyless.status_code == 400


@pytest.mark.django_db(transaction=True)
def test_twenty_people_take_the_three_seats_that_are_left(offer):
    group, _order = start(offer(size=4))
    people, before = [make_learner() for _ in range(20)], deadlocks()

    results = all_at_once(20, lambda number: join(group, people[number]))

    refused = [r for r in results if isinstance(r, Exception)]
    assert [type(r) for r in refused] == [GroupFull] * 17, refused
    assert Order.objects.filter(group=group).count() == 4
    assert deadlocks() == before


@pytest.mark.django_db(transaction=True)
def test_members_who_pay_at_once_complete_the_group_once(offer):
    group, first = start(offer(size=8))
    orders = [first, *(join(group) for _ in range(7))]
    facts = [money_for(attempt(order)) for order in orders]
    before = deadlocks()

    results = all_at_once(16, lambda number: payment_succeeded(facts=facts[number % 8]))

    assert all(isinstance(result, Payment) for result in results), results
    assert (now(group).status, group.paid_count) == ("complete", 8)
    assert Entitlement.objects.count() == 8
    assert deadlocks() == before
    outbox.deliver_due()
    assert broken() == []


@pytest.mark.django_db(transaction=True)
def test_the_last_payment_and_the_end_of_time_have_one_outcome(offer):
    for _round in range(4):
        group, first = start(offer(size=2))
        second = join(group)
        pay(first)
        facts = money_for(attempt(second))
        overdue(group)

        results = all_at_once(
            8,
            lambda n, facts=facts: tasks.end_groups() if n % 2 else payment_succeeded(facts=facts),
        )
        Group.objects.filter(status="failed").update(next_sweep_at=clock.now())
        tasks.end_groups()

        assert not [r for r in results if isinstance(r, Exception)], results
        paid = {now(first).status, now(second).status}
        refunds = Refund.objects.filter(order__in=(first, second)).count()
        if now(group).status == "complete":
            assert (paid, refunds, group.paid_count) == ({"paid"}, 0, 2)
        else:
            assert (group.status, refunds) == ("failed", 2)
            assert paid in ({"paid", "closed"}, {"paid"})
    outbox.deliver_due()
    assert broken() == []


@pytest.mark.django_db(transaction=True)
def test_a_failed_group_is_closed_at_the_platform_and_refunded_there(sandbox, live_server, offer):
    payer, slow = (make_buyer(sandbox.user()["openid"]) for _ in range(2))
    group, first = start(offer(size=3, hours=1), payer)
    second = join(group, slow)
    numbers = [
        client_for(order.user).post(
            f"/api/v1/orders/{order.no}/pay", {"channel": "jsapi"}, format="json",
            headers={"Idempotency-Key": "p"},
        ).json()["out_trade_no"]
        for order in (first, second)
    ]  # fmt: skip
    sandbox.pay(numbers[0])
    outbox.deliver_due()

    sandbox.advance(3601)
    tasks.end_groups()
    tasks.send_refunds()
    sandbox.settle_refund(Refund.objects.get().out_refund_no)

    assert (now(group).status, group.next_sweep_at) == ("failed", None)
    assert (now(first).status, now(second).status) == ("refunded", "closed")
    assert not Entitlement.objects.filter(revoked_at__isnull=True).exists()
    assert Payment.objects.get(out_trade_no=numbers[1]).status == "closed"
    outbox.deliver_due()
    assert broken() == []
