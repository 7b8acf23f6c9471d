"""Pushes of virtual payment: believed after a question alone, taken once, answered in time."""

import json
import random
import secrets
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from accounts.models import User
from kernel import clock
from kernel.models import StaffAction
from kpay_site import auditing
from messaging.models import MessageEvent
from payments import ports, tasks
from payments.models import (
    Effect,
    Entitlement,
    EventHandling,
    Journal,
    PlatformEvent,
    Refund,
)
from payments.services.kept_events import events_forget
from payments.services.notices import other_notice
from tests.payments.buying import order_for, pays, shopper, started, status_of
from tests.wechat import independent

pytestmark = pytest.mark.django_db(transaction=True)

DELIVER, ENDED = "xpay_goods_deliver_notify", "xpay_refund_notify"
ASK = "/xpay/query_order"


@pytest.fixture
def person(sandbox, live_server):
    return shopper(sandbox)


@pytest.fixture
def product(sandbox, course):
    made = course(price_fen=9900, channels=["virtual"], xpay_product_id="course_1")
    sandbox.virtual_item("course_1", 9900)
    return made


@pytest.fixture
def order(person, product):
    return order_for(person, product)


@pytest.fixture
def begun(person, order):
    return started(person, order, "virtual")


def broken():
    """The invariants that do not hold now."""
    from django.db import connection

    with connection.cursor() as cursor:
        return {
            rule.id: found.rows
            for rule in auditing.all_invariants()
            if (found := rule.check(cursor)).rows
        }


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_a_push_is_kept_asked_about_and_delivers(
    sandbox, settings, person, product, order, begun, xml, plain
):
    if plain:  # the account's server is set up without encryption
        wechat = replace(settings.KPAY.wechat, mp_aes_key="")
        settings.KPAY = replace(settings.KPAY, wechat=wechat)
    sandbox.settings(mp_push_xml=xml, mp_push_plain=plain)

    told = pays(sandbox, person, begun)

    assert told["push"]["state"] == "accepted"
    assert status_of(order) == "paid"
    event, row = PlatformEvent.objects.get(), EventHandling.objects.get()
    assert (event.source, event.event_type) == ("xpay", DELIVER)
    assert json.loads(bytes(event.body))["OutTradeNo"] == begun["out_trade_no"]
    assert (row.state, row.kind, row.business_key) == ("done", "payment", begun["out_trade_no"])
    assert len(sandbox.calls(ASK)) == 1
    assert sandbox.virtual_order(begun["out_trade_no"])["status"] == 4
    assert not MessageEvent.objects.exists()
    assert broken() == {}


def test_sixty_four_copies_at_once_deliver_once(sandbox, person, order, begun):
    sandbox.fault("duplicate", on="push", event_type=DELIVER, copies=64, count=1)

    told = pays(sandbox, person, begun)
    sandbox.advance(30)  # what was told to come again comes again

    statuses = Counter(d["status"] for d in told["push"]["deliveries"])
    assert statuses == {200: 64}
    assert status_of(order) == "paid"
    counted = [m.objects.count() for m in (PlatformEvent, Entitlement, Journal, Effect)]
    assert counted == [1, 1, 1, 1]
    assert len(sandbox.calls(ASK)) <= 3
    assert sandbox.virtual_order(begun["out_trade_no"])["status"] == 4


@pytest.mark.parametrize("fault", ["http_500", "errcode:-1", "timeout"])
def test_without_an_answer_the_push_comes_again(sandbox, person, order, begun, fault):
    sandbox.fault(fault, on="api", path=ASK, count=1)

    told = pays(sandbox, person, begun)

    (first,) = told["push"]["deliveries"]
    assert (first["status"], json.loads(first["body"])["ErrCode"]) == (200, 1)
    assert first["seconds"] < 5
    assert status_of(order) == "pending"
    assert EventHandling.objects.get().state == "parked"
    sandbox.advance(8)
    assert status_of(order) == "paid"
    assert sandbox.virtual_order(begun["out_trade_no"])["status"] == 4


def test_without_an_answer_and_without_a_second_push_the_sweeper_asks(
    sandbox, person, order, begun
):
    sandbox.fault("http_500", on="api", path=ASK, count=1)
    pays(sandbox, person, begun)
    sandbox.fault("drop", on="push", event_type=DELIVER)

    sandbox.advance(8)
    tasks.retry_events()

    assert status_of(order) == "paid"
    assert EventHandling.objects.get().state == "done"


def test_a_push_that_the_platform_never_confirms_is_left_to_a_person(sandbox, person, order, begun):
    """The push is true to the letter, but nobody has paid."""
    pushed(sandbox, delivery(begun, person))

    for _try in range(10):
        sandbox.advance(181)
        tasks.retry_events()

    row = EventHandling.objects.get()
    assert (row.state, row.attempts, "facts_differ" in row.last_error) == ("dead", 10, True)
    assert (status_of(order), Journal.objects.count()) == ("pending", 0)
    assert "X01" not in broken()
    pays(sandbox, person, begun, notify=False)
    office = Client()
    office.force_login(User.objects.create_superuser("boss"))
    page = reverse("admin:payments_eventhandling_changelist")
    office.post(page, {"action": "again", "_selected_action": [row.pk], "reason": "已核对"})
    assert status_of(order) == "paid"
    assert EventHandling.objects.get().state == "done"
    assert StaffAction.objects.get().reason == "已核对"


def delivery(begun, person, **changes):
    goods = {"ProductId": "course_1", "Quantity": 1, "OrigPrice": 9900, "ActualPrice": 9900}
    fields = {
        "OpenId": person.openid,
        "OutTradeNo": begun["out_trade_no"],
        "Env": 0,
        "WeChatPayInfo": {"MchOrderNo": "m", "TransactionId": "t", "PaidTime": 1},
        "GoodsInfo": {**goods, **changes.pop("goods", {})},
    }
    return {**fields, **changes}


def pushed(sandbox, fields, event=DELIVER, **more):
    return sandbox.push("mp", "oPlatform", event, fields=fields, format="json", retry=False, **more)


@pytest.mark.parametrize(
    "lie",
    [
        {"Env": 1},
        {"OpenId": "oSomebodyElse"},
        {"goods": {"OrigPrice": 1, "ActualPrice": 1}},
        {"goods": {"ProductId": "course_2"}},
        {"goods": {"Quantity": 2}},
    ],
)
def test_a_push_that_lies_is_refused_unkept_and_nobody_is_asked(sandbox, person, order, begun, lie):
    pays(sandbox, person, begun, notify=False)

    answer = pushed(sandbox, delivery(begun, person, **lie))

    assert answer["status"] == 400
    assert not PlatformEvent.objects.exists()
    assert sandbox.calls(ASK) == []
    assert status_of(order) == "pending"


@pytest.mark.parametrize("kind", ["bad_signature", "stale_timestamp", "plain_downgrade"])
def test_a_forged_push_has_no_effect(sandbox, person, order, begun, kind):
    pays(sandbox, person, begun, notify=False)

    answer = pushed(sandbox, delivery(begun, person), tamper=kind)

    assert answer["status"] == 403
    assert not PlatformEvent.objects.exists()
    assert sandbox.calls(ASK) == []
    assert status_of(order) == "pending"


def test_a_number_that_nobody_knows_is_kept_and_nobody_is_asked(sandbox, person, begun):
    answer = pushed(sandbox, delivery({"out_trade_no": "nobodys00001"}, person))

    assert json.loads(answer["raw_body"])["ErrCode"] == 1
    assert EventHandling.objects.get().state == "parked"
    assert sandbox.calls(ASK) == []


def test_two_hundred_mangled_pushes_change_nothing(person, order, begun, sandbox):
    """Sealed with the right keys, each wrong in another place: 4xx or not confirmed, no 5xx."""
    chance = random.Random(7)  # noqa: S311
    true = delivery(begun, person)
    client = Client()
    statuses = Counter()
    for number in range(200):
        text = mangled(true, chance, number)
        statuses[sealed_post(client, text, chance).status_code] += 1

    assert set(statuses) <= {200, 400, 403}, statuses
    assert (status_of(order), Journal.objects.count(), Effect.objects.count()) == ("pending", 0, 0)
    assert not EventHandling.objects.filter(state="done").exists()


def mangled(true, chance, number):
    head = {
        "ToUserName": "gh", "FromUserName": "oPlatform", "CreateTime": 1700000000 + number,
        "MsgType": "event", "Event": DELIVER,
    }  # fmt: skip
    message = json.loads(json.dumps({**head, **true}))
    how = number % 4
    if how == 0:
        key = chance.choice(list(true))
        message[key] = chance.choice([None, "", [], {}, -1, 1.5, "x" * 300, {"a": {}}])
    elif how == 1:
        part = message["GoodsInfo"]
        part[chance.choice(list(part))] = chance.choice([None, "", [], "九", 10**30, True])
    elif how == 2:
        text = json.dumps(message)
        return text[: chance.randrange(len(text))]
    return json.dumps(message)


def sealed_post(client, text, chance):
    wechat = settings.KPAY.wechat
    box = independent.seal_push(text, wechat.mp_aes_key, wechat.mp_appid)
    stamp, nonce = str(int(clock.timestamp())), secrets.token_hex(5)
    signed = independent.sha1(wechat.mp_token, stamp, nonce, box)
    if chance.random() < 0.25:
        place = chance.randrange(len(box))
        box = box[:place] + chance.choice("Aa0+") + box[place + 1 :]
    address = (
        f"/wechat/mp/callback?timestamp={stamp}&nonce={nonce}&encrypt_type=aes"
        f"&msg_signature={signed}"
    )
    body = json.dumps({"ToUserName": "gh", "Encrypt": box})
    return client.post(address, body, content_type="application/json")


# --- refunds


@pytest.fixture
def refunding(sandbox, person, order, begun):
    """A refund of stray money that the platform was asked for, and holds."""
    sandbox.settings(xpay_hold_refunds=True)
    person.http.post(f"/api/v1/orders/{order.no}/cancel")
    pays(sandbox, person, begun)
    tasks.send_refunds()
    return Refund.objects.get()


def test_the_end_of_a_refund_is_told_by_a_push(sandbox, refunding):
    assert refunding.status == "processing"

    told = sandbox.virtual_refund(refunding.out_refund_no)

    refunding.refresh_from_db()
    assert told["push"]["state"] == "accepted"
    assert refunding.status == "succeeded"
    assert EventHandling.objects.get(kind="refund").state == "done"
    assert broken() == {}


def test_a_refund_that_failed_is_asked_for_under_a_new_number(sandbox, refunding):
    sandbox.virtual_refund(refunding.out_refund_no, "fail")

    refunding.refresh_from_db()
    assert refunding.status == "closed"
    assert Refund.objects.exclude(pk=refunding.pk).get().status == "requested"


def test_a_refunds_push_is_not_believed_alone(sandbox, begun, person, refunding):
    fields = {
        "OpenId": person.openid, "WxRefundId": "w", "MchRefundId": refunding.out_refund_no,
        "WxOrderId": "o", "MchOrderId": begun["out_trade_no"], "RefundFee": 9900, "RetCode": 0,
        "RetMsg": "ok", "RefundStartTimestamp": 1, "RefundSuccTimestamp": 2,
    }  # fmt: skip

    answer = pushed(sandbox, fields, ENDED)
    wrong = pushed(sandbox, {**fields, "RefundFee": 1, "WxRefundId": "v"}, ENDED)

    refunding.refresh_from_db()
    assert json.loads(answer["raw_body"])["ErrCode"] == 1
    assert wrong["status"] == 400
    assert refunding.status == "processing"


# --- Apple


@pytest.fixture
def by_apple(sandbox, person, product):
    order = order_for(person, product, "ios")
    begun = started(person, order, "virtual")
    pays(sandbox, person, begun, platform="ios")
    assert status_of(order) == "paid"
    return order, begun


@pytest.fixture
def watched():
    """How much was learnt, as the apps above would tell."""
    told = {"bp": 0}
    before = ports._watched
    ports.register_watched_source(lambda user_id, scope: told["bp"])
    yield told
    ports.register_watched_source(before)


@pytest.mark.parametrize(
    ("bp", "days", "answer", "said"),
    [
        (0, 0, "agree", "0%"),
        (2999, 6, "agree", "29.99%"),
        (3000, 0, "refuse", "30%"),
        (0, 8, "refuse", "0%"),
    ],
)
@pytest.mark.parametrize("xml", [False, True])
def test_apple_is_answered_from_our_own_books(
    sandbox, by_apple, watched, xml, bp, days, answer, said
):
    order, begun = by_apple
    sandbox.settings(mp_push_xml=xml)
    watched["bp"] = bp
    order.refresh_from_db()
    type(order).objects.update(paid_at=order.paid_at - timedelta(days=days))
    before = sandbox.last_call()

    told = sandbox.apple_question(begun["out_trade_no"])

    assert told["answer"] == answer
    assert f"已学习 {said}" in told["evidence"]
    assert sandbox.calls(since=before) == []
    assert told["deliveries"][0]["seconds"] < 3
    assert EventHandling.objects.get(kind="apple").state == "done"


def test_apples_repeated_question_gets_the_same_bytes(sandbox, by_apple, watched):
    _order, begun = by_apple
    sandbox.fault("duplicate", on="push", event_type="xpay_subscribe_ios*", copies=6, count=1)

    told = sandbox.apple_question(begun["out_trade_no"])

    assert len({d["body"] for d in told["deliveries"]}) == 1
    assert len(told["deliveries"]) == 6
    assert EventHandling.objects.filter(kind="apple").count() == 1


def test_apple_asks_about_an_order_that_is_not_ours(sandbox, person, begun):
    fields = {
        "refund_time": "1700000000", "order_time": "1", "channel_bill": "b", "bundleid": "x",
        "product_id": "p", "p_count": "1", "refund_request_reason": "r", "provide_status": "1",
        "pay_order_id": "unknown00001",
    }  # fmt: skip

    answer = pushed(sandbox, fields, "xpay_subscribe_ios_refund_query_notify")

    assert answer["encrypted"] is True
    assert answer["message"]["result_code"] == 1


# --- the others


def test_a_complaint_is_left_to_a_person(sandbox, person, order, begun):
    pays(sandbox, person, begun)

    told = sandbox.complaint(begun["out_trade_no"])

    row = EventHandling.objects.get(kind="complaint")
    assert told["push"]["state"] == "accepted"
    assert row.state == "dead"
    office = Client()
    office.force_login(User.objects.create_superuser("boss"))
    page = reverse("admin:payments_eventhandling_changelist")
    office.post(page, {"action": "settled", "_selected_action": [row.pk], "reason": "已回复"})
    row.refresh_from_db()
    assert (row.state, row.done_at is not None) == ("ignored", True)


def test_events_lose_what_they_hold_of_people_after_ninety_days(sandbox, person, order, begun):
    pays(sandbox, person, begun)
    other_notice(event_id="n1", event_type="COMPLAINT.CREATE", body=b'{"openid": "o1"}')
    sandbox.advance(86_400 * 89)
    kept = events_forget()
    sandbox.advance(86_400 * 2)

    tasks.forget_events()

    assert kept == 0
    assert PlatformEvent.objects.count() == 2
    for event in PlatformEvent.objects.all():
        assert bytes(event.body) == b""
    assert not EventHandling.objects.exclude(facts=None).exists()
    assert {"X01", "M02"} & set(broken()) == set()
    # A repeat after that is still the same event.
    other_notice(event_id="n1", event_type="COMPLAINT.CREATE", body=b'{"openid": "o1"}')
    assert PlatformEvent.objects.count() == 2


@pytest.mark.parametrize("lost", [False, True])
def test_money_that_apple_gave_back_closes_the_door(sandbox, by_apple, person, product, lost):
    """Nobody asked us; what is left at the platform proves it."""
    order, begun = by_apple
    if lost:  # the platform gives no answer when the push comes
        sandbox.fault("http_500", on="api", path=ASK, count=1)

    sandbox.apple_refund(begun["out_trade_no"])
    sandbox.advance(10)
    tasks.retry_events()

    refund = Refund.objects.get()
    assert (refund.status, refund.cause, refund.amount_fen) == ("succeeded", "platform", 9900)
    assert status_of(order) == "refunded"
    assert Entitlement.objects.get().revoked_at is not None
    assert broken() == {}


def test_a_push_that_invents_a_refund_is_not_believed(sandbox, by_apple, person):
    order, begun = by_apple
    fields = {
        "OpenId": person.openid, "WxRefundId": "w9", "WxOrderId": "o", "RefundFee": 9900,
        "MchOrderId": begun["out_trade_no"], "RetCode": 0, "RetMsg": "ok",
        "RefundStartTimestamp": 1, "RefundSuccTimestamp": 2,
    }  # fmt: skip

    answer = pushed(sandbox, fields, ENDED)

    assert json.loads(answer["raw_body"])["ErrCode"] == 1
    assert not Refund.objects.exists()
    assert status_of(order) == "paid"
