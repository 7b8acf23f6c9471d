"""Deliveries told to the platform: order shipping (A9), virtual payment (B3)."""

import json
import logging
from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from messaging.models import MessageEvent
from payments import tasks
from payments.models import Payment
from payments.services.deliveries import MAX_TRIES
from tests.payments.buying import order_for, payment_of, pays, shopper, started, status_of

pytestmark = pytest.mark.django_db(transaction=True)

UPLOAD = "/wxa/sec/order/upload_shipping_info"


@pytest.fixture
def person(sandbox, live_server):
    return shopper(sandbox)


@pytest.fixture
def managed(settings):
    """The platform holds this mini-program's money back until deliveries are uploaded."""
    settings.KPAY = replace(settings.KPAY, trade_managed=True)


@pytest.fixture
def bought(sandbox, person, course):
    """`bought(channel)` pays for a course; returns what the client was given."""
    product = course(
        price_fen=9900, channels=["jsapi", "native", "virtual"], xpay_product_id="course_1"
    )
    sandbox.virtual_item("course_1", 9900)

    def buy(channel="jsapi", **fields):
        order = order_for(person, product)
        begun = started(person, order, channel)
        pays(sandbox, person, begun, **fields)
        return begun

    return buy


def test_a_payment_is_uploaded_once_when_order_shipping_knows_it(sandbox, managed, person, bought):
    begun = bought()

    tasks.tell_deliveries()
    early = sandbox.calls(UPLOAD)
    sandbox.advance(16)
    tasks.tell_deliveries()
    sandbox.advance(3600)
    tasks.tell_deliveries()

    (call,) = sandbox.calls(UPLOAD)
    asked = json.loads(call["body"])
    assert early == []
    assert asked["order_key"]["out_trade_no"] == begun["out_trade_no"]
    assert (asked["logistics_type"], asked["payer"]["openid"]) == (3, person.openid)
    payment = payment_of(begun)
    assert (payment.shipped_at is not None, payment.shipping_due_at) == (True, None)


def test_order_shipping_that_does_not_know_the_payment_yet_is_asked_again(sandbox, managed, bought):
    sandbox.settings(shipping_seconds=40)
    begun = bought()

    sandbox.advance(16)
    tasks.tell_deliveries()
    waiting = payment_of(begun)
    sandbox.advance(31)
    tasks.tell_deliveries()

    assert (waiting.shipped_at, waiting.shipping_tries) == (None, 1)
    assert payment_of(begun).shipped_at is not None


@pytest.mark.parametrize(("channel", "on"), [("jsapi", False), ("native", True)])
def test_nothing_is_uploaded_that_nobody_asks_for(sandbox, settings, bought, channel, on):
    settings.KPAY = replace(settings.KPAY, trade_managed=on)
    begun = bought(channel)

    sandbox.advance(60)
    tasks.tell_deliveries()

    assert sandbox.calls(UPLOAD) == []
    assert payment_of(begun).shipping_due_at is None


def test_tries_have_an_end_and_a_person_may_begin_anew(sandbox, managed, bought):
    begun = bought()
    sandbox.fault("http_500", on="api", path=UPLOAD)

    for _try in range(MAX_TRIES + 2):
        sandbox.advance(6 * 3600)
        tasks.tell_deliveries()

    stuck = payment_of(begun)
    assert (stuck.shipping_tries, stuck.shipping_due_at, stuck.shipped_at) == (
        MAX_TRIES, None, None,
    )  # fmt: skip
    office = Client()
    office.force_login(User.objects.create_superuser("boss"))
    page = reverse("admin:payments_payment_changelist")
    listed = office.get(page + "?shipping=failed").content.decode()
    assert stuck.out_trade_no in listed
    sandbox.clear_faults()
    office.post(page, {"action": "tell_again", "_selected_action": [stuck.pk]})
    tasks.tell_deliveries()
    assert payment_of(begun).shipped_at is not None


def test_a_refusal_ends_the_tries_at_once(sandbox, managed, bought):
    begun = bought()
    sandbox.fault("errcode:10060004", on="api", path=UPLOAD)

    sandbox.advance(16)
    tasks.tell_deliveries()

    stuck = payment_of(begun)
    assert (stuck.shipping_tries, stuck.shipping_due_at, stuck.shipped_at) == (1, None, None)


def test_a_virtual_payment_whose_push_was_lost_is_told_as_delivered(sandbox, person, bought):
    sandbox.fault("drop", on="push", event_type="xpay_goods_deliver_notify")
    begun = bought("virtual")
    sandbox.advance(6)
    tasks.check_payments()
    waiting = sandbox.virtual_order(begun["out_trade_no"])["status"]

    sandbox.advance(61)
    tasks.tell_deliveries()

    assert waiting in (2, 3)
    assert sandbox.virtual_order(begun["out_trade_no"])["status"] == 4
    assert payment_of(begun).shipped_at is not None


def test_a_virtual_payment_whose_push_was_answered_needs_no_telling(sandbox, bought):
    begun = bought("virtual")

    sandbox.advance(61)
    tasks.tell_deliveries()

    assert sandbox.calls("/xpay/notify_provide_goods") == []
    assert payment_of(begun).shipped_at is not None


def test_stray_money_is_no_delivery(sandbox, managed, person, course):
    order = order_for(person, course(channels=["jsapi"]))
    begun = started(person, order, "jsapi")
    person.http.post(f"/api/v1/orders/{order.no}/cancel")
    pays(sandbox, person, begun, force=True)

    assert status_of(order) == "cancelled"
    assert Payment.objects.get().shipping_due_at is None


def test_events_of_order_shipping_are_kept_and_nothing_follows(sandbox, managed, bought, caplog):
    begun = bought()
    sandbox.advance(16)
    tasks.tell_deliveries()

    with caplog.at_level(logging.INFO, logger="messaging.callbacks"):
        sandbox.settle_shipping(begun["out_trade_no"])

    assert MessageEvent.objects.get().event == "trade_manage_order_settlement"
    assert "order shipping" in caplog.text
