"""The whole way of the money, with the sandbox as WeChat Pay over real HTTP."""

import threading
from collections import Counter

import pytest
import requests
from django.conf import settings
from django.db import connections

from kernel import clock
from payments import selectors, tasks
from payments.models import (
    Effect,
    Entitlement,
    EventHandling,
    Journal,
    Order,
    Payment,
    PlatformEvent,
    Refund,
)
from tests.builders import client_for, make_learner
from tests.payments.conftest import make_buyer, sums
from wechat.pay import pay_client

pytestmark = pytest.mark.django_db(transaction=True)

PREPAY = "/v3/pay/transactions/jsapi"


@pytest.fixture
def person(sandbox, live_server):
    """A buyer whom the sandbox knows too."""
    return make_buyer(sandbox.user()["openid"])


@pytest.fixture
def http(person):
    return client_for(person)


@pytest.fixture
def order_of(person, pending):
    return lambda product: pending(product, user=person)


def start_paying(http, order, key=None):
    """POST /orders/{no}/pay."""
    return http.post(
        f"/api/v1/orders/{order.no}/pay",
        {"channel": "jsapi"},
        format="json",
        headers={"Idempotency-Key": key or f"pay-{order.no}"},
    )


def number_of(http, order):
    reply = start_paying(http, order)
    assert reply.status_code == 200, reply.json()
    return reply.json()["out_trade_no"]


def status_of(order):
    return Order.objects.values_list("status", flat=True).get(pk=order.pk)


def later(sandbox, seconds):
    """Both clocks move, and the platform sends what fell due."""
    sandbox.advance(seconds)


def test_money_opens_the_course(sandbox, http, person, course, order_of):
    product = course(price_fen=9900)
    order = order_of(product)

    paying = start_paying(http, order).json()
    told = sandbox.pay(paying["out_trade_no"])

    assert sorted(paying["params"]) == ["nonceStr", "package", "paySign", "signType", "timeStamp"]
    assert paying["params"]["signType"] == "RSA"
    assert told["notify"]["state"] == "received"
    reply = http.get(f"/api/v1/orders/{order.no}").json()
    assert (reply["status"], reply["paid_at"] is not None) == ("paid", True)
    assert selectors.entitled(person.pk, product.scope)
    assert sums(paying["out_trade_no"]) == {"cash:jsapi": 9900, "revenue": -9900}
    payment = Payment.objects.get()
    assert payment.transaction_id == told["transaction_id"]
    assert EventHandling.objects.get().state == "done"


def test_sixty_four_notifies_at_once_and_forged_ones_have_one_effect(
    sandbox, http, course, order_of
):
    order = order_of(course())
    number = number_of(http, order)
    sandbox.pay(number, notify=False)
    before = sandbox.last_call()
    forged = [
        "bad_signature",
        "signtest",
        "stale_timestamp",
        "wrong_amount",
        "wrong_mchid",
        "wrong_appid",
        "wrong_apiv3_key",
        "unknown_serial",
    ]

    sent = sandbox.forge_mix(number, {"duplicate": 64, **dict.fromkeys(forged, 16)})

    odd = [r for r in sent["results"] if r["status"] is None or r["status"] >= 500]
    assert not odd, odd
    assert sent["by_kind"]["duplicate"] == {"200": 64}
    for kind in forged:
        statuses = {int(s) for s in sent["by_kind"][kind]}
        assert all(400 <= s < 500 for s in statuses), (kind, sent["by_kind"][kind])
    counted = [
        model.objects.count()
        for model in (Payment, Entitlement, Journal, PlatformEvent, EventHandling, Effect)
    ]
    assert counted == [1, 1, 1, 1, 1, 1]
    assert status_of(order) == "paid"
    assert sandbox.calls(since=before) == []


@pytest.mark.parametrize("kind", ["wrong_amount", "wrong_mchid", "bad_signature", "signtest"])
def test_forged_notifies_alone_change_nothing(sandbox, http, course, order_of, kind):
    order = order_of(course())
    number = number_of(http, order)

    sent = sandbox.forge_mix(number, {kind: 4})

    assert all(400 <= (status or 0) < 500 for status in sent["statuses"]), sent["results"]
    assert status_of(order) == "pending"
    assert not PlatformEvent.objects.exists()
    assert not Journal.objects.exists()


def test_a_forged_refusal_speaks_the_platforms_language(sandbox, http, course, order_of):
    number = number_of(http, order_of(course()))

    sent = sandbox.forge_mix(number, {"bad_signature": 1})

    (result,) = sent["results"]
    assert '"code": "FAIL"' in result["body"]


def test_a_lost_notify_is_found_when_the_buyer_says_so(sandbox, http, course, order_of):
    order = order_of(course())
    number = number_of(http, order)
    sandbox.pay(number, notify=False)

    reply = http.post(f"/api/v1/orders/{order.no}/check")

    assert reply.json()["status"] == "paid"
    assert Effect.objects.get(kind="payment").business_key == number


def test_a_lost_notify_is_found_by_the_query_plan(sandbox, http, course, order_of):
    order = order_of(course())
    sandbox.pay(number_of(http, order), notify=False)

    tasks.check_payments()
    before = status_of(order)
    later(sandbox, 6)
    tasks.check_payments()

    assert (before, status_of(order)) == ("pending", "paid")


def test_an_unpaid_check_leaves_the_order_as_it_is(sandbox, http, course, order_of):
    order = order_of(course())
    number_of(http, order)

    assert http.post(f"/api/v1/orders/{order.no}/check").json()["status"] == "pending"


def test_paying_again_goes_on_with_the_same_number(sandbox, http, course, order_of):
    order = order_of(course())

    first = start_paying(http, order, "key-1").json()
    replayed = start_paying(http, order, "key-1").json()
    again = start_paying(http, order, "key-2").json()

    assert replayed == first
    assert again["out_trade_no"] == first["out_trade_no"]
    assert again["params"]["package"] == first["params"]["package"]
    assert len(sandbox.calls(PREPAY)) == 1


def test_an_answer_that_got_lost_is_asked_for_again_under_the_same_number(
    sandbox, http, course, order_of
):
    order = order_of(course())
    sandbox.fault("http_500", on="api", path=PREPAY, count=1, effected=True)

    lost = start_paying(http, order, "key-1")
    found = start_paying(http, order, "key-1")

    assert lost.status_code == 503
    assert lost.headers["Retry-After"]
    assert found.status_code == 200
    assert Payment.objects.get().out_trade_no == found.json()["out_trade_no"]


def test_a_cancelled_order_is_closed_at_the_platform_first(sandbox, http, course, order_of):
    order = order_of(course())
    number = number_of(http, order)

    reply = http.post(f"/api/v1/orders/{order.no}/cancel")

    assert reply.json()["status"] == "cancelled"
    assert pay_client().query(number).trade_state == "CLOSED"
    assert Payment.objects.get().status == "closed"


def test_cancelling_finds_money_that_is_there_already(sandbox, http, course, order_of):
    order = order_of(course())
    sandbox.pay(number_of(http, order), notify=False)

    reply = http.post(f"/api/v1/orders/{order.no}/cancel")

    assert reply.json()["error"]["code"] == "order_already_paid"
    assert status_of(order) == "paid"


def test_cancelling_waits_while_the_platform_gives_no_answer(sandbox, http, course, order_of):
    order = order_of(course())
    number_of(http, order)
    sandbox.fault("http_500", on="api", path="/v3/pay/transactions")

    reply = http.post(f"/api/v1/orders/{order.no}/cancel")

    assert reply.status_code == 503
    assert status_of(order) == "pending"


def test_money_after_cancelling_goes_back_by_itself(sandbox, http, course, order_of):
    product = course(price_fen=9900)
    order = order_of(product)
    number = number_of(http, order)
    http.post(f"/api/v1/orders/{order.no}/cancel")

    sandbox.pay(number, force=True)
    tasks.send_refunds()
    refund = Refund.objects.get()
    sandbox.settle_refund(refund.out_refund_no)

    refund.refresh_from_db()
    payment = Payment.objects.get()
    assert (refund.cause, refund.status, refund.amount_fen) == ("late_payment", "succeeded", 9900)
    assert (payment.refunding_fen, payment.refunded_fen) == (0, 9900)
    assert status_of(order) == "cancelled"
    shown = http.get(f"/api/v1/refunds/{refund.out_refund_no}").json()
    assert (shown["status"], shown["order_no"]) == ("succeeded", order.no)
    assert client_for(make_learner()).get(f"/api/v1/refunds/{shown['no']}").status_code == 404
    assert not Entitlement.objects.exists()
    assert sums(refund.out_refund_no) == {"suspense": 9900, "cash:jsapi": -9900}


def test_a_lost_refund_notify_is_found_by_the_sweep(sandbox, http, course, order_of):
    order = order_of(course())
    number = number_of(http, order)
    http.post(f"/api/v1/orders/{order.no}/cancel")
    sandbox.pay(number, force=True)
    sandbox.fault("drop", on="notify", event_type="REFUND.*")
    tasks.send_refunds()
    sandbox.settle_refund(Refund.objects.get().out_refund_no)

    later(sandbox, 40)
    tasks.send_refunds()

    assert Refund.objects.get().status == "succeeded"


def test_a_refund_whose_answer_got_lost_keeps_its_number(sandbox, http, course, order_of):
    order = order_of(course())
    number = number_of(http, order)
    http.post(f"/api/v1/orders/{order.no}/cancel")
    sandbox.pay(number, force=True)
    sandbox.fault("http_500", on="api", path="/v3/refund", count=1, effected=True)

    tasks.send_refunds()
    waiting = Refund.objects.get()
    later(sandbox, 40)
    tasks.send_refunds()

    found = Refund.objects.get()
    assert (waiting.status, waiting.last_error != "") == ("requested", True)
    assert found.status in ("processing", "succeeded")
    assert found.out_refund_no == waiting.out_refund_no


def test_double_money_for_one_course_goes_back_once(sandbox, http, person, course, order_of):
    product = course(price_fen=9900)
    orders = [order_of(product), order_of(product)]
    numbers = [number_of(http, order) for order in orders]

    for number in numbers:
        sandbox.pay(number)
    tasks.send_refunds()
    refund = Refund.objects.get()
    sandbox.settle_refund(refund.out_refund_no)

    refund.refresh_from_db()
    assert (refund.cause, refund.status) == ("duplicate_payment", "succeeded")
    assert [status_of(order) for order in orders] == ["paid", "closed"]
    assert Entitlement.objects.filter(user=person).count() == 1


def test_an_overdue_order_is_closed_and_its_number_too(sandbox, http, course, order_of):
    order = order_of(course())
    number = number_of(http, order)

    later(sandbox, settings.KPAY.order_expiry_seconds + 1)
    tasks.expire_orders()

    assert status_of(order) == "closed"
    assert pay_client().query(number).trade_state == "CLOSED"
    assert start_paying(http, order, "late").json()["error"]["code"] == "order_not_pending"


def test_an_overdue_order_that_was_paid_is_found_paid(sandbox, http, course, order_of):
    order = order_of(course())
    sandbox.pay(number_of(http, order), notify=False)

    later(sandbox, settings.KPAY.order_expiry_seconds + 1)
    tasks.expire_orders()

    assert status_of(order) == "paid"


def test_two_sweepers_at_once_close_an_order_once(sandbox, http, course, order_of):
    orders = [order_of(course()) for _ in range(3)]
    for order in orders:
        number_of(http, order)
    later(sandbox, settings.KPAY.order_expiry_seconds + 1)

    done = at_once([tasks.expire_orders] * 4)

    assert sum(done) == 3
    assert [status_of(order) for order in orders] == ["closed"] * 3


def at_once(calls):
    """Results of all calls, started together, each in a thread of its own."""
    results = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(place):
        try:
            gate.wait(10)
            results[place] = calls[place]()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_cancel_and_money_at_the_same_moment_end_in_one_of_two_ways(
    sandbox, http, person, course, order_of
):
    for _round in range(4):
        product = course()
        order = order_of(product)
        number = number_of(http, order)

        at_once(
            [
                lambda no=order.no: client_for(person).post(f"/api/v1/orders/{no}/cancel"),
                lambda number=number: sandbox.pay(number, force=True),
            ]
        )
        sandbox.advance(20)

        status = status_of(order)
        owned = selectors.entitled(person.pk, product.scope)
        stray = Refund.objects.filter(order=order).count()
        assert (status, owned, stray) in [("paid", True, 0), ("cancelled", False, 1)]


def test_a_notify_for_a_number_that_comes_later_waits_for_it(sandbox, person, course, order_of):
    order = order_of(course(price_fen=990))
    openid = person.identities.get().openid
    prepay("early0000001", openid)
    sandbox.pay("early0000001")
    parked = EventHandling.objects.get().state
    payment = Payment.objects.create(
        order=order, out_trade_no="early0000001", channel="jsapi", amount_fen=990
    )

    later(sandbox, 2)
    tasks.retry_events()

    payment.refresh_from_db()
    assert parked == "parked"
    assert (payment.status, status_of(order)) == ("succeeded", "paid")
    assert EventHandling.objects.get().state == "done"


def test_a_notify_that_nobody_knows_is_left_to_a_person_after_ten_tries(sandbox, person):
    prepay("nobodys00001", person.identities.get().openid)
    told = sandbox.pay("nobodys00001")

    for _try in range(10):
        later(sandbox, 181)
        tasks.retry_events()

    row = EventHandling.objects.get()
    assert told["notify"]["state"] == "received"
    assert (row.state, row.attempts) == ("dead", 10)
    assert not Journal.objects.exists()


def prepay(number, openid):
    """The platform knows a number that we have no row for."""
    pay_client().jsapi_prepay(
        out_trade_no=number,
        description="early",
        amount_fen=990,
        openid=openid,
        expires_at=clock.now().replace(year=clock.now().year + 1),
        notify_url=f"{settings.KPAY.public_base_url}/wechat/pay/notify",
    )


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("POST", b"", 400),
        ("POST", b"{", 400),
        ("POST", b"[]", 400),
        ("POST", b"x" * 70_000, 413),
        ("POST", b"x" * 1_100_000, 413),
        ("GET", b"", 405),
        ("POST", b"\x00\xff", 400),
        ("POST", b"[" * 60_000, 400),
    ],
)
def test_what_is_no_notice_is_refused(live_server, method, body, status):
    reply = requests.request(method, f"{live_server.url}/wechat/pay/notify", data=body, timeout=10)

    assert reply.status_code in {status, 403}
    assert (reply.status_code == 403) <= (status == 400)
    assert not PlatformEvent.objects.exists()


def test_one_order_paid_from_many_sides_at_once_is_paid_once(sandbox, http, course, order_of):
    order = order_of(course())
    number = number_of(http, order)
    sandbox.pay(number, notify=False)
    payment = Payment.objects.get()

    def check():
        from payments.flows.paying import payment_check

        return payment_check(payment=payment).state

    states = at_once([check] * 8)

    assert Counter(states) == {"paid": 8}
    assert (Journal.objects.count(), Entitlement.objects.count()) == (1, 1)
