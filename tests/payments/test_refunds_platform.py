"""Refunds all the way, with the sandbox as WeChat Pay over real HTTP."""

import threading
from typing import Any

import pytest
from django.db import connections

from kernel import clock, outbox
from payments import tasks
from payments.errors import RefundNotWaiting
from payments.flows.refunding import refund_give_up, refund_send_elsewhere
from payments.models import EventHandling, Order, Payment, Refund
from payments.services.refunds import refund_ask_again
from tests.builders import client_for
from tests.payments.conftest import make_buyer
from tests.payments.refunding import books, broken, fresh, money, staff
from wechat.pay import BankCard, pay_client

pytestmark = pytest.mark.django_db(transaction=True)

REFUNDS = "/v3/refund/domestic/refunds"


@pytest.fixture
def person(sandbox, live_server):
    return make_buyer(sandbox.user()["openid"])


@pytest.fixture
def http(person):
    return client_for(person)


@pytest.fixture
def bought(sandbox, http, person, course, pending):
    """`bought(price_fen)` is an order that was paid through the platform."""

    def make(price_fen: int = 9900) -> Order:
        order = pending(course(price_fen=price_fen), user=person)
        paying = http.post(
            f"/api/v1/orders/{order.no}/pay",
            {"channel": "jsapi"},
            format="json",
            headers={"Idempotency-Key": f"pay-{order.no}"},
        )
        sandbox.pay(paying.json()["out_trade_no"])
        return fresh(order)

    return make


def ask(http: Any, order: Order, key: str = "1", **body: Any) -> Refund:
    reply = http.post(
        f"/api/v1/orders/{order.no}/refunds",
        {"reason": "不合适", **body},
        format="json",
        headers={"Idempotency-Key": key},
    )
    assert reply.status_code == 201, reply.json()
    return Refund.objects.get(out_refund_no=reply.json()["no"])


def now(refund: Refund) -> Refund:
    return Refund.objects.select_related("order").get(pk=refund.pk)


def test_a_refund_goes_all_the_way(sandbox, http, bought):
    order = bought(9900)
    refund = ask(http, order)

    tasks.send_refunds()
    under_way = now(refund).status
    sandbox.settle_refund(refund.out_refund_no)
    outbox.deliver_due()

    assert under_way == "processing"
    assert (now(refund).status, fresh(order).status) == ("succeeded", "refunded")
    shown = http.get(f"/api/v1/refunds/{refund.out_refund_no}").json()
    assert (shown["status"], shown["message"]) == ("succeeded", "退款已到账。")
    assert shown["success_at"]
    assert books() == {}
    assert broken() == {}


def test_a_notify_that_overtakes_the_answer_has_its_effect_once(sandbox, http, bought):
    order = bought()
    refund = ask(http, order)
    sandbox.fault("notify_before_response", on="api", path=REFUNDS, count=1)

    tasks.send_refunds()

    assert now(refund).status == "succeeded"
    assert fresh(order).status == "refunded"
    assert broken() == {}


def test_lost_notifies_and_lost_answers_are_found_by_the_sweep(sandbox, http, bought):
    order = bought()
    refund = ask(http, order)
    sandbox.fault("drop", on="notify", event_type="REFUND.*")
    sandbox.fault("http_500", on="api", path=REFUNDS, count=1, effected=True)

    tasks.send_refunds()
    lost = now(refund)
    sandbox.settle_refund(refund.out_refund_no)
    sandbox.advance(60)
    tasks.send_refunds()

    assert (lost.status, lost.last_error != "") == ("requested", True)
    assert now(refund).status == "succeeded"
    assert now(refund).last_error == ""
    assert broken() == {}


def test_no_balance_waits_longer_each_time_under_the_same_number(sandbox, http, bought):
    order = bought()
    refund = ask(http, order)
    sandbox.fault("errcode:NOT_ENOUGH", on="api", path=REFUNDS)

    gaps = []
    for _look in range(3):
        tasks.send_refunds()
        row = now(refund)
        gaps.append(round((row.next_check_at - clock.now()).total_seconds() / 60))
        sandbox.advance((gaps[-1] + 1) * 60)
    kept = (row.status, row.last_error, money(order)[0])
    sandbox.clear_faults()
    tasks.send_refunds()

    assert gaps == [1, 2, 4]
    assert kept[0] == "requested"
    assert "NOT_ENOUGH" in kept[1]
    assert kept[2] == 9900
    assert now(refund).status in ("processing", "succeeded")
    assert Refund.objects.get().out_refund_no == refund.out_refund_no


def test_parts_of_one_payment_are_asked_for_a_minute_apart(sandbox, http, bought):
    order = bought()
    refunds = [ask(http, order, key=str(n), amount_fen=1000) for n in range(3)]
    Refund.objects.update(next_check_at=refunds[0].next_check_at)  # a sweep that was away

    asked = []
    for _minute in range(3):
        tasks.send_refunds()
        posts = [c for c in sandbox.calls(REFUNDS) if c["method"] == "POST"]
        asked.append(len(posts))
        sandbox.advance(62)

    assert asked == [1, 2, 3]
    assert not any("FREQUENCY" in row.last_error for row in Refund.objects.all())


def test_too_often_waits_and_goes_on(sandbox, http, bought):
    order = bought()
    sandbox.settings(refund_gap_seconds=600)
    first, second = (ask(http, order, key=k, amount_fen=1000) for k in "12")

    tasks.send_refunds()
    sandbox.advance(62)
    tasks.send_refunds()
    told_off = now(second)
    sandbox.advance(700)
    tasks.send_refunds()

    assert "FREQUENCY_LIMITED" in told_off.last_error
    assert now(second).status in ("processing", "succeeded")
    assert now(first).out_refund_no != now(second).out_refund_no


def test_a_closed_refund_frees_its_amount(sandbox, http, bought):
    order = bought()
    refund = ask(http, order)
    tasks.send_refunds()

    sandbox.settle_refund(refund.out_refund_no, "closed")

    assert now(refund).status == "closed"
    assert money(order)[0] == 0
    assert "重新申请" in http.get(f"/api/v1/refunds/{refund.out_refund_no}").json()["message"]
    again = ask(http, order, key="2")
    tasks.send_refunds()
    sandbox.settle_refund(again.out_refund_no)
    assert fresh(order).status == "refunded"
    assert broken() == {}


def abnormal(sandbox: Any, http: Any, order: Order) -> Refund:
    refund = ask(http, order)
    tasks.send_refunds()
    sandbox.settle_refund(refund.out_refund_no, "abnormal")
    assert now(refund).status == "abnormal"
    return refund


@pytest.mark.parametrize("card", [None, BankCard("ICBC_DEBIT", "6222021234567890123", "张三")])
def test_an_abnormal_refund_is_sent_elsewhere(sandbox, http, bought, card):
    order = bought()
    refund = abnormal(sandbox, http, order)
    boss = staff("boss")

    sent = refund_send_elsewhere(refund_id=refund.pk, by=boss, reason="卡已注销", card=card)
    sandbox.advance(60)
    tasks.send_refunds()

    assert sent.status == "processing"
    assert now(refund).status == "succeeded"
    assert fresh(order).status == "refunded"
    with pytest.raises(RefundNotWaiting):
        refund_send_elsewhere(refund_id=refund.pk, by=boss, reason="again", card=card)
    from kernel.models import StaffAction

    kept = StaffAction.objects.get(action="payments.refund_redirect")
    assert "6222" not in str(kept.detail)
    assert kept.reason == "卡已注销"
    assert broken() == {}


def test_an_abnormal_refund_is_closed_by_hand_only_while_it_is_one(sandbox, http, bought):
    order, other = bought(), bought()
    refund = abnormal(sandbox, http, order)
    boss = staff("boss")

    closed = refund_give_up(refund_id=refund.pk, by=boss, reason="已线下转账")

    assert (closed.status, money(order)[0]) == ("closed", 0)
    message = http.get(f"/api/v1/refunds/{refund.out_refund_no}").json()["message"]
    assert message == "已线下转账"

    healed = ask(http, other, key="2")
    tasks.send_refunds()
    sandbox.settle_refund(healed.out_refund_no, "abnormal")
    pay_client().refund_abnormal_apply(now(healed).provider_id, out_refund_no=healed.out_refund_no)
    sandbox.fault("drop", on="notify", event_type="REFUND.*")
    sandbox.advance(60)
    with pytest.raises(RefundNotWaiting):
        refund_give_up(refund_id=healed.pk, by=boss, reason="x")
    assert now(healed).status == "succeeded"
    assert broken() == {}


def test_a_payment_of_over_a_year_is_too_old_and_the_asker_reads_that(sandbox, http, bought):
    order = bought()
    sandbox.advance(366 * 86400)
    boss = staff("boss")
    from payments.services.refunds import refund_request

    refund = refund_request(order_id=order.pk, by=boss, cause="operator", reason="补偿")

    tasks.send_refunds()

    assert (now(refund).status, now(refund).last_error) == ("closed", "too_old")
    message = client_for(order.user).get(f"/api/v1/refunds/{refund.out_refund_no}").json()
    assert "一年" in message["message"]
    assert money(order)[0] == 0


def test_our_own_mistakes_do_not_close_a_refund(sandbox, http, bought):
    order = bought()
    refund = ask(http, order)
    sandbox.fault("errcode:NO_AUTH", on="api", path=REFUNDS, count=1)

    tasks.send_refunds()

    assert now(refund).status == "requested"
    assert "NO_AUTH" in now(refund).last_error
    refund_ask_again(refund_id=refund.pk, by=staff("boss"), reason="权限已开通")
    tasks.send_refunds()
    assert now(refund).status == "processing"


def test_a_waiting_refund_is_not_asked_for(sandbox, http, bought):
    order = bought(60_000)
    refund = ask(http, order)
    sandbox.advance(3600)

    tasks.send_refunds()

    assert now(refund).status == "requested"
    assert not sandbox.calls(REFUNDS)


def test_a_refund_made_on_the_console_is_taken_over_at_the_last_try(sandbox, http, bought):
    order = bought()
    payment = Payment.objects.get()
    pay_client().refund_create(
        out_refund_no="console-1", out_trade_no=payment.out_trade_no, refund_fen=900,
        total_fen=9900, reason="", notify_url=notify_url(),
    )  # fmt: skip
    sandbox.settle_refund("console-1")
    parked = EventHandling.objects.get(kind="refund").state

    outbox.deliver_due()
    for _try in range(9):
        sandbox.advance(181)
        tasks.retry_events()
    before = Refund.objects.exists()
    sandbox.advance(181)
    tasks.retry_events()

    refund = Refund.objects.get()
    assert (parked, before) == ("parked", False)
    assert (refund.cause, refund.status, refund.amount_fen) == ("platform", "succeeded", 900)
    assert EventHandling.objects.get(kind="refund").state == "done"
    assert fresh(order).refunded_fen == 900
    assert http.get("/api/v1/refunds/console-1").json()["cause"] == "platform"
    outbox.deliver_due()
    assert broken() == {}


def test_one_that_does_not_fit_is_left_to_a_person(sandbox, http, bought):
    order = bought()
    payment = Payment.objects.get()
    ask(http, order)  # everything is reserved
    pay_client().refund_create(
        out_refund_no="console-1", out_trade_no=payment.out_trade_no, refund_fen=900,
        total_fen=9900, reason="", notify_url=notify_url(),
    )  # fmt: skip
    sandbox.settle_refund("console-1")

    for _try in range(10):
        sandbox.advance(181)
        tasks.retry_events()

    assert EventHandling.objects.get(kind="refund").state == "dead"
    assert Refund.objects.count() == 1
    assert fresh(order).refunded_fen == 0


def notify_url() -> str:
    from payments.channels.wechat_v3 import notify_url

    return notify_url()


def all_at_once(calls: list[Any]) -> list[Any]:
    """Results of all calls, started together, each in a thread of its own."""
    results: list[Any] = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(place: int) -> None:
        try:
            gate.wait(20)
            results[place] = calls[place]()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return results


def test_sixty_four_at_once_never_get_more_than_was_paid(http, person, live_server, bought):
    import requests

    order = bought(1000)
    token = http._credentials["HTTP_AUTHORIZATION"]

    def take(n: int) -> Any:
        return requests.post(
            f"{live_server.url}/api/v1/orders/{order.no}/refunds",
            json={"amount_fen": 150, "reason": "并发"},
            headers={"Authorization": token, "Idempotency-Key": f"k{n}"},
            timeout=60,
        )

    replies = all_at_once([lambda n=n: take(n) for n in range(64)])

    codes = [reply.status_code for reply in replies]
    # 1000 / 150 = 6.67
    assert (codes.count(201), codes.count(409)) == (6, 58)
    refused = {reply.json()["error"]["code"] for reply in replies if reply.status_code == 409}
    assert refused == {"refund_exceeds_paid"}
    assert money(order)[:3] == (900, 0, [900])
    assert broken() == {}


def test_sixty_four_copies_of_one_request_are_one_refund(http, live_server, bought):
    import requests

    order = bought(1000)
    token = http._credentials["HTTP_AUTHORIZATION"]

    def take() -> Any:
        return requests.post(
            f"{live_server.url}/api/v1/orders/{order.no}/refunds",
            json={"amount_fen": 150, "reason": "重复"},
            headers={"Authorization": token, "Idempotency-Key": "one"},
            timeout=60,
        )

    replies = all_at_once([take] * 64)

    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["no"] for reply in replies}) == 1
    assert money(order)[0] == 150


def test_sweeps_at_once_ask_for_each_refund_once(sandbox, http, bought):
    orders = [bought() for _ in range(3)]
    refunds = [ask(http, order, key=order.no) for order in orders]

    all_at_once([tasks.send_refunds] * 4)

    posts = [c for c in sandbox.calls(REFUNDS) if c["method"] == "POST"]
    assert len(posts) == 3
    assert {now(refund).status for refund in refunds} <= {"processing", "succeeded"}
