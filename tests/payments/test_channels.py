"""What every channel owes, asked of all of them alike, with the sandbox as the platform."""

import json
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from payments import selectors, tasks
from payments.channels import channel_named, channels_ready
from payments.channels.protocol import RefundOrder
from payments.models import ChannelRule, Effect, Entitlement, Journal, Payment, Refund
from payments.services.refunds import stray_refund
from tests.payments.buying import (
    code,
    order_for,
    payment_of,
    pays,
    shopper,
    start,
    started,
    status_of,
)
from tests.payments.conftest import sums
from wechat.errors import WeChatError

pytestmark = pytest.mark.django_db(transaction=True)

CHANNELS = ["jsapi", "native", "h5", "virtual"]
PLATFORM = {"h5": "h5"}
# Where the first call to the platform goes; virtual payment makes none.
PREPAY = {c: f"/v3/pay/transactions/{c}" for c in ("jsapi", "native", "h5")}
QUERY = {c: "/v3/pay/transactions/out-trade-no" for c in ("jsapi", "native", "h5")} | {
    "virtual": "/xpay/query_order"
}
REFUND = {c: "/v3/refund" for c in ("jsapi", "native", "h5")} | {"virtual": "/xpay/refund_order"}
KEYS = {
    "jsapi": ["nonceStr", "package", "paySign", "signType", "timeStamp"],
    "native": ["code_url"],
    "h5": ["h5_url"],
    "virtual": ["mode", "paySig", "signData", "signature"],
}


@pytest.fixture
def person(sandbox, live_server):
    return shopper(sandbox)


@pytest.fixture
def product(sandbox, course):
    """A course that every channel may sell, published at the platform for its price."""
    made = course(price_fen=9900, channels=CHANNELS, xpay_product_id="course_1")
    sandbox.virtual_item("course_1", 9900)
    return made


@pytest.fixture(params=CHANNELS)
def channel(request):
    return request.param


@pytest.fixture
def order(person, product, channel):
    return order_for(person, product, PLATFORM.get(channel, "android"))


def test_the_client_gets_exactly_what_its_call_takes(person, order, channel):
    begun = started(person, order, channel)

    assert sorted(begun["params"]) == KEYS[channel]
    assert begun["channel"] == channel
    if channel == "jsapi":
        assert begun["params"]["package"].startswith("prepay_id=")
        assert begun["params"]["signType"] == "RSA"
    elif channel == "virtual":
        told = json.loads(begun["params"]["signData"])
        assert begun["params"]["mode"] == "short_series_goods"
        assert (told["productId"], told["goodsPrice"], told["buyQuantity"]) == ("course_1", 9900, 1)
        assert (told["outTradeNo"], told["env"]) == (begun["out_trade_no"], 0)
    else:
        assert urlsplit(begun["params"][KEYS[channel][0]]).scheme in {"weixin", "https"}


def test_asking_twice_goes_on_with_one_number(person, order, channel):
    first, again = started(person, order, channel), started(person, order, channel)

    assert first["out_trade_no"] == again["out_trade_no"]
    assert Payment.objects.count() == 1


def test_money_opens_the_course_and_its_payer_is_known(sandbox, person, product, order, channel):
    begun = started(person, order, channel)

    pays(sandbox, person, begun)

    payment = payment_of(begun)
    assert status_of(order) == "paid"
    assert selectors.entitled(person.user.pk, product.scope)
    assert sums(begun["out_trade_no"]) == {f"cash:{channel}": 9900, "revenue": -9900}
    assert (payment.status, payment.effective, payment.by_apple) == ("succeeded", True, False)
    assert payment.payer_openid == person.openid
    assert payment.transaction_id


def test_the_whole_table_of_what_may_be_sold_where(person, product):
    """Four platforms by four channels: all but ios allow all, ios allows virtual alone."""
    seen = {}
    for platform in ("ios", "android", "devtools", "h5"):
        order = order_for(person, product, platform)
        for name in CHANNELS:
            seen[platform, name] = start(person, order, name).status_code
        shown = person.http.get(f"/api/v1/products/{product.pk}?platform={platform}").json()
        assert sorted(shown["channels"]) == sorted(n for n in CHANNELS if seen[platform, n] == 200)

    refused = {key for key, status in seen.items() if status != 200}
    assert refused == {("ios", "jsapi"), ("ios", "native"), ("ios", "h5")}
    assert {seen[key] for key in refused} == {409}


def test_a_products_own_channels_and_an_operators_rules_say_no_too(person, course, product):
    narrow = course(channels=["native"])
    ChannelRule.objects.create(platform="android", channel="jsapi", kind="course", allowed=False)

    own = start(person, order_for(person, narrow), "h5")
    ruled = start(person, order_for(person, product), "jsapi")

    assert (code(own), own.json()["error"]["detail"]) == (
        (409, "channel_not_allowed"),
        {"channels": ["native"]},
    )
    assert code(ruled) == (409, "channel_not_allowed")
    assert not Payment.objects.exists()


def test_what_costs_nothing_needs_no_channel(person, course):
    order = order_for(person, course(price_fen=0, list_fen=500))

    assert (status_of(order), Payment.objects.count()) == ("paid", 0)
    # The money's account of an order over 0 fen: 5 yuan at list price, all of it reduced.
    assert sums(order.no) == {"discounts": 500, "revenue": -500}
    assert code(start(person, order, "jsapi"))[0] == 409


def test_free_things_are_had_on_ios_though_no_item_costs_nothing(person, course):
    product = course(price_fen=0, channels=["virtual"])

    shown = person.http.get(f"/api/v1/products/{product.pk}?platform=ios").json()

    assert (shown["price_fen"], shown["channels"]) == (0, ["virtual"])
    assert status_of(order_for(person, product, "ios")) == "paid"


def test_the_query_finds_money_whose_news_was_lost(sandbox, person, order, channel):
    begun = started(person, order, channel)
    pays(sandbox, person, begun, notify=False)

    sandbox.advance(6)
    tasks.check_payments()

    assert status_of(order) == "paid"
    assert Effect.objects.get(kind="payment").business_key == begun["out_trade_no"]


def test_all_news_of_one_payment_has_one_effect(sandbox, person, order, channel):
    begun = started(person, order, channel)
    pays(sandbox, person, begun)

    for _again in range(2):
        person.http.post(f"/api/v1/orders/{order.no}/check")
        sandbox.advance(6)
        tasks.check_payments()

    assert (Journal.objects.count(), Entitlement.objects.count()) == (1, 1)


def test_money_after_the_order_was_cancelled_goes_back(sandbox, person, order, channel):
    begun = started(person, order, channel)
    assert person.http.post(f"/api/v1/orders/{order.no}/cancel").status_code == 200

    if channel == "virtual":  # there is no closing: the number is as good as before
        pays(sandbox, person, begun)
    else:
        pays(sandbox, person, begun, force=True)

    refund = Refund.objects.get()
    assert status_of(order) == "cancelled"
    assert (refund.cause, refund.amount_fen) == ("late_payment", 9900)
    assert not Entitlement.objects.exists()
    assert gone_back(sandbox, refund) == "succeeded"
    assert sums(refund.out_refund_no) == {"suspense": 9900, f"cash:{channel}": -9900}


def gone_back(sandbox, refund):
    """Ask for the refund, let the platform do it; what it is then."""
    tasks.send_refunds()
    if refund.payment.channel == "virtual":
        sandbox.advance(2)
    else:
        sandbox.settle_refund(refund.out_refund_no)
    refund.refresh_from_db()
    return refund.status


def test_cancelling_finds_money_that_is_there_already(sandbox, person, order, channel):
    pays(sandbox, person, started(person, order, channel), notify=False)

    reply = person.http.post(f"/api/v1/orders/{order.no}/cancel")

    assert code(reply) == (409, "order_already_paid")
    assert status_of(order) == "paid"


@pytest.mark.parametrize("channel", list(PREPAY))
@pytest.mark.parametrize("fault", ["http_500", "timeout", "reset_after_effect"])
def test_a_prepay_whose_answer_got_lost_is_asked_for_again(
    sandbox, impatient, person, order, channel, fault
):
    effect = {"effected": True} if fault == "http_500" else {}
    sandbox.fault(fault, on="api", path=PREPAY[channel], count=1, **effect)

    lost = start(person, order, channel)
    found = started(person, order, channel)

    assert lost.status_code == 503
    assert lost.headers["Retry-After"]
    assert Payment.objects.get().out_trade_no == found["out_trade_no"]
    pays(sandbox, person, found)
    assert status_of(order) == "paid"


@pytest.fixture
def impatient(settings):
    """Waits a second at most for the platform."""
    settings.KPAY = replace(settings.KPAY, http_timeout=(1.0, 1.0))


@pytest.mark.parametrize("channel", list(PREPAY))
def test_an_address_that_changed_between_two_tries_does_not_matter(sandbox, person, order, channel):
    """The platform compares: it refuses other words under a number that it knows."""
    sandbox.fault("http_500", on="api", path=PREPAY[channel], count=1, effected=True)

    lost = pay_from(person, order, channel, "203.0.113.7")
    found = pay_from(person, order, channel, "203.0.113.8")

    assert (lost.status_code, found.status_code) == (503, 200)
    (body, again) = [json.loads(call["body"]) for call in sandbox.calls(PREPAY[channel])]
    assert body == again
    assert body["scene_info"]["payer_client_ip"] == "203.0.113.7"


def pay_from(person, order, channel, address):
    return person.http.post(
        f"/api/v1/orders/{order.no}/pay",
        {"channel": channel},
        format="json",
        headers={"Idempotency-Key": f"from-{address}"},
        REMOTE_ADDR=address,
    )


def test_an_h5_page_is_renewed_after_five_minutes_under_its_number(sandbox, person, product):
    order = order_for(person, product, "h5")
    first = started(person, order, "h5")

    sandbox.advance(301)
    again = started(person, order, "h5")

    assert again["out_trade_no"] == first["out_trade_no"]
    assert len(sandbox.calls(PREPAY["h5"])) == 2
    pays(sandbox, person, again)
    assert status_of(order) == "paid"


LOST = [(c, f) for c in CHANNELS for f in ("http_500", "reset_after_effect")]


@pytest.mark.parametrize(("channel", "fault"), [*LOST, ("virtual", "errcode:-1")])
def test_a_refund_whose_answer_got_lost_goes_on_under_its_number(
    sandbox, person, product, channel, fault
):
    order = order_for(person, product, PLATFORM.get(channel, "android"))
    pays(sandbox, person, begun := started(person, order, channel))
    refund = wanted_back(order, payment_of(begun))
    effect = {"effected": True} if fault == "http_500" else {}
    sandbox.fault(fault, on="api", path=REFUND[channel], count=1, **effect)

    with pytest.raises(WeChatError):
        channel_named(channel).refund(asked(refund))
    if fault == "errcode:-1":
        assert channel_named(channel).refund_find(refund.out_refund_no) is None
    found = channel_named(channel).refund_find(refund.out_refund_no) or channel_named(
        channel
    ).refund(asked(refund))

    assert found.status in {"PROCESSING", "SUCCESS"}
    assert (found.out_refund_no, found.refund_fen) == (refund.out_refund_no, 9900)
    state = sandbox.state()
    assert len(state["virtual_refunds" if channel == "virtual" else "refunds"]) == 1


def wanted_back(order, payment):
    """A refund in full that nobody has asked the platform for."""
    from django.db import transaction

    with transaction.atomic():
        refund = stray_refund(order=order, payment=payment, cause="late_payment")
        Payment.objects.filter(pk=payment.pk).update(refunding_fen=payment.amount_fen)
    Refund.objects.filter(pk=refund.pk).update(next_check_at=None)
    return refund


def asked(refund):
    return RefundOrder(
        out_refund_no=refund.out_refund_no,
        out_trade_no=refund.payment.out_trade_no,
        amount_fen=refund.amount_fen,
        total_fen=refund.payment.amount_fen,
        reason="晚到的款项",
    )


def test_a_refund_that_nobody_asked_for_is_not_known(sandbox, person, order, channel):
    pays(sandbox, person, begun := started(person, order, channel))
    refund = wanted_back(order, payment_of(begun))

    assert channel_named(channel).refund_find(refund.out_refund_no) is None


def test_a_platform_that_gives_no_answer_is_an_error_and_changes_nothing(
    sandbox, person, order, channel
):
    begun = started(person, order, channel)
    sandbox.fault("http_500", on="api", path=QUERY[channel])

    reply = person.http.post(f"/api/v1/orders/{order.no}/check")

    assert reply.status_code == 503
    assert status_of(order) == "pending"
    assert payment_of(begun).status == "prepared"


def test_without_virtual_payment_the_shop_does_not_offer_it(settings, person, product):
    wechat = replace(settings.KPAY.wechat, xpay_offer_id="", xpay_app_key="")
    settings.KPAY = replace(settings.KPAY, wechat=wechat)

    shown = person.http.get(f"/api/v1/products/{product.pk}?platform=ios").json()
    refused = start(person, order_for(person, product), "virtual")

    assert channels_ready() == ["jsapi", "native", "h5"]
    assert (shown["price_fen"], shown["channels"]) == (None, [])
    assert code(refused) == (409, "channel_not_allowed")


def test_only_h5_and_native_need_no_payer_beforehand(course, pending, learner):
    nobody = learner()
    product = course(channels=CHANNELS, xpay_product_id="x1")
    needs = {name: channel_named(name).traits.asks_payer for name in CHANNELS}

    assert needs == {"jsapi": True, "virtual": True, "native": False, "h5": False}
    assert pending(product, user=nobody).status == "pending"
