"""Virtual payment: items and their prices, sessions, numbers, Apple, refunds."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Identity, User
from incentives.services import coupon_claim, coupon_template_save
from kernel import clock
from kernel.models import StaffAction
from payments import tasks
from payments.channels import channel_named
from payments.channels.protocol import RefundOrder
from payments.errors import FactsDiffer, RefundNotByMerchant
from payments.models import Payment, Product, Refund, XpayItem
from payments.services import product_publish
from payments.services.items import item_name
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
from wechat_sandbox.client import SandboxRefusedError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person(sandbox, live_server):
    return shopper(sandbox)


@pytest.fixture
def product(sandbox, course):
    made = course(price_fen=9900, channels=["jsapi", "virtual"], xpay_product_id="course_1")
    sandbox.virtual_item("course_1", 9900)
    return made


def shown(person, product, platform="android"):
    reply = person.http.get(f"/api/v1/products/{product.pk}?platform={platform}").json()
    return reply["channels"], reply["price_fen"]


def sweep(sandbox, times=4, seconds=45):
    """The items' task as often as it takes."""
    for _time in range(times):
        tasks.publish_items()
        sandbox.advance(seconds)


def priced(product, price_fen):
    return product_publish(
        scope=product.scope, title=product.title, kind=product.kind, price_fen=price_fen,
        list_fen=max(price_fen, product.list_fen), channels=product.channels,
        product_id=product.pk, xpay_product_id=product.xpay_product_id,
    )  # fmt: skip


# --- items


def test_a_new_price_is_published_by_itself_and_sold_after_the_quiet_period(
    sandbox, person, course
):
    product = course(price_fen=5900, channels=["jsapi", "virtual"])
    order = order_for(person, product, "ios")
    assert XpayItem.objects.get().state == "draft"
    assert shown(person, product, "ios") == (["virtual"], 5900)

    sweep(sandbox)
    item = XpayItem.objects.get()
    early = start(person, order, "virtual")
    sandbox.advance(1800 - 4 * 45)
    sandbox.advance(4 * 45)

    assert (item.state, item.item_id) == ("published", item_name(product.pk, 5900))
    assert code(early) == (409, "virtual_item_missing")
    order = order_for(person, product, "ios")
    pays(sandbox, person, started(person, order, "virtual"), platform="ios")
    assert status_of(order) == "paid"
    assert sandbox.state()["virtual_items"][0]["published_price_fen"] == 5900


def test_what_can_not_be_published_is_not_shown_where_nothing_else_is_allowed(
    sandbox, person, course
):
    product = course(price_fen=5900, channels=["jsapi", "virtual"])
    XpayItem.objects.update(state="failed")

    assert shown(person, product, "ios") == ([], None)
    assert shown(person, product, "android") == (["jsapi"], 5900)


def test_an_item_made_by_hand_counts_at_the_price_it_was_named_for(sandbox, person, product):
    assert shown(person, product, "ios") == (["virtual"], 9900)

    priced(product, 4900)

    assert shown(person, product, "ios") == (["virtual"], 4900)
    items = {i.price_fen: (i.item_id, i.state) for i in XpayItem.objects.all()}
    assert items == {
        9900: ("course_1", "published"),
        4900: (item_name(product.pk, 4900), "draft"),
    }
    priced(product, 9900)
    assert shown(person, product, "ios") == (["virtual"], 9900)


def test_a_price_changed_in_the_admin_wants_an_item(sandbox, product):
    office = Client()
    office.force_login(User.objects.create_superuser("boss"))
    form = {
        "title": "新名称", "list_fen": 9900, "price_fen": 5000, "channels": "jsapi,virtual",
        "member_scope": "membership:vip", "active": "on", "promo_from_0": "", "promo_from_1": "",
        "promo_until_0": "", "promo_until_1": "",
    }  # fmt: skip

    office.post(reverse("admin:payments_product_change", args=[product.pk]), form)

    assert XpayItem.objects.get(price_fen=5000).state == "draft"


def test_promotions_and_member_prices_want_items_too(sandbox, product):
    Product.objects.update(
        promo_fen=6000, promo_until=clock.now() + timedelta(days=1), member_fen=8000
    )

    tasks.publish_items()

    assert sorted(XpayItem.objects.values_list("price_fen", flat=True)) == [6000, 8000, 9900]


def test_an_item_that_the_platform_refuses_waits_for_a_person(sandbox, course):
    product = course(price_fen=700, channels=["virtual"])
    good = course(price_fen=800, channels=["virtual"])
    name = item_name(product.pk, 700)
    sandbox.plan_virtual_item(name, upload="fail", errmsg="图片不合规")

    sweep(sandbox)

    item = XpayItem.objects.get(item_id=name)
    assert (item.state, item.last_error, item.next_check_at) == ("failed", "图片不合规", None)
    assert XpayItem.objects.get(product=good).state == "published"
    sandbox.plan_virtual_item(name)
    office = Client()
    office.force_login(User.objects.create_superuser("boss"))
    page = reverse("admin:payments_xpayitem_changelist")
    asked = {"action": "again", "_selected_action": [item.pk]}
    office.post(page, asked)
    assert XpayItem.objects.get(item_id=name).state == "failed"  # no reason, no deed
    office.post(page, {**asked, "reason": "换了图片"})
    sweep(sandbox)
    assert XpayItem.objects.get(item_id=name).state == "published"
    assert StaffAction.objects.get().reason == "换了图片"


@pytest.mark.parametrize("fault", ["errcode:-1", "http_500", "reset_after_effect"])
@pytest.mark.parametrize(
    "path", ["start_upload_goods", "query_upload_goods", "start_publish_goods"]
)
def test_a_step_whose_answer_got_lost_is_taken_again(sandbox, course, path, fault):
    course(price_fen=700, channels=["virtual"])
    sandbox.fault(fault, on="api", path=f"/xpay/{path}", count=2)

    sweep(sandbox, times=9, seconds=300)

    assert XpayItem.objects.get().state == "published"


def test_an_item_published_by_hand_is_sold_at_once(sandbox, person, course):
    product = course(price_fen=700, channels=["virtual"])
    office = Client()
    office.force_login(User.objects.create_superuser("boss"))

    office.post(
        reverse("admin:payments_xpayitem_changelist"),
        {"action": "by_hand", "_selected_action": [XpayItem.objects.get().pk], "reason": "手工"},
    )

    assert shown(person, product, "ios") == (["virtual"], 700)


# --- what may be paid so


def test_a_coupon_lowers_the_price_at_which_the_item_is_sold(sandbox, person, product):
    template = coupon_template_save(key="t", title="券", discount_fen=900, budget_count=9)
    coupon = coupon_claim(user_id=person.user.pk, template_id=template.pk)
    order = order_for(person, product, coupon_id=coupon.pk)

    begun = started(person, order, "virtual")
    pays(sandbox, person, begun)

    signed = json.loads(begun["params"]["signData"])
    assert (signed["goodsPrice"], signed["activitySellingPrice"]) == (9900, 9000)
    assert status_of(order) == "paid"
    assert payment_of(begun).amount_fen == 9000


def test_above_every_item_the_refusal_names_what_is_left(sandbox, person, product):
    dearer = priced(product, 12_000)
    order = order_for(person, dearer)

    reply = start(person, order, "virtual")

    assert code(reply) == (409, "virtual_item_missing")
    assert reply.json()["error"]["detail"] == {"channels": ["jsapi"]}
    assert "虚拟支付" in reply.json()["error"]["message"]
    assert start(person, order, "jsapi").status_code == 200
    assert not Payment.objects.filter(channel="virtual").exists()


def test_two_things_at_once_are_no_item(sandbox, person, product, course, pending):
    other = course(price_fen=100, channels=["jsapi", "virtual"], xpay_product_id="course_2")

    order = pending(product, other, user=person.user)

    assert code(start(person, order, "virtual")) == (409, "virtual_item_missing")


@pytest.mark.parametrize(("price_fen", "sold"), [(99, False), (100, True)])
def test_apple_wants_a_yuan_at_least(sandbox, person, course, price_fen, sold):
    product = course(price_fen=price_fen, channels=["virtual"], xpay_product_id="cheap")

    assert (shown(person, product, "ios")[0] == ["virtual"]) is sold
    assert shown(person, product, "android")[0] == ["virtual"]


def test_the_sandbox_environment_is_not_for_ios(settings, person, product):
    wechat = replace(settings.KPAY.wechat, xpay_env=1)
    settings.KPAY = replace(settings.KPAY, wechat=wechat)

    assert shown(person, product, "ios") == ([], None)
    assert shown(person, product, "devtools")[0] == ["jsapi", "virtual"]


# --- sessions and numbers


def test_without_a_session_the_buyer_signs_in_again(person, product):
    Identity.objects.update(session_key_encrypted="")

    reply = start(person, order_for(person, product), "virtual")

    assert code(reply) == (401, "session_expired")
    assert "重新登录" in reply.json()["error"]["message"]
    assert not Payment.objects.exists()


def test_a_session_that_was_renewed_meanwhile_needs_a_new_signature(sandbox, person, product):
    order = order_for(person, product)
    begun = started(person, order, "virtual")
    sandbox.login_code(person.openid, rotate_session_key=True)

    with pytest.raises(SandboxRefusedError):
        pays(sandbox, person, begun)

    person.http.post(
        "/api/v1/auth/wechat/login", {"code": sandbox.login_code(person.openid)}, format="json"
    )
    again = started(person, order, "virtual")
    assert again["out_trade_no"] == begun["out_trade_no"]
    pays(sandbox, person, again)
    assert status_of(order) == "paid"


def test_no_session_key_is_stored_or_sent_in_clear(sandbox, person, product):
    begun = started(person, order_for(person, product), "virtual")

    key = sandbox.user(openid=person.openid)["session_key"]
    assert key not in str(payment_of(begun).prepared)
    assert key not in str(begun)


def test_a_number_that_the_client_has_used_up_is_not_used_again(sandbox, person, product):
    """The buyer closes the payment window: the platform takes each number once."""
    order = order_for(person, product)
    first = started(person, order, "virtual")
    pays(sandbox, person, first, outcome="cancel")

    second = started(person, order, "virtual")

    assert second["out_trade_no"] != first["out_trade_no"]
    assert payment_of(first).status == "closed"
    pays(sandbox, person, second)
    assert status_of(order) == "paid"


def test_the_platform_being_away_keeps_the_number(sandbox, person, product):
    order = order_for(person, product)
    first = started(person, order, "virtual")
    sandbox.fault("http_500", on="api", path="/xpay/query_order")

    assert started(person, order, "virtual")["out_trade_no"] == first["out_trade_no"]


def test_late_money_of_an_order_that_is_over_is_found_though_its_news_was_lost(
    sandbox, person, product
):
    order = order_for(person, product)
    begun = started(person, order, "virtual")
    person.http.post(f"/api/v1/orders/{order.no}/cancel")
    pays(sandbox, person, begun, notify=False)

    sandbox.advance(61)
    tasks.check_payments()

    assert payment_of(begun).status == "succeeded"
    assert Refund.objects.get().cause == "late_payment"


def test_nobody_looks_for_late_money_for_ever(sandbox, person, product):
    begun = started(person, order := order_for(person, product), "virtual")
    person.http.post(f"/api/v1/orders/{order.no}/cancel")

    for _look in range(2):
        sandbox.advance(3 * 3600 + 60)
        tasks.check_payments()

    assert (payment_of(begun).status, payment_of(begun).next_check_at) == ("closed", None)


# --- what the platform says is checked


@pytest.fixture
def paid(sandbox, person, product):
    """A paid order of 99 yuan and its payment."""
    order = order_for(person, product)
    begun = started(person, order, "virtual")
    pays(sandbox, person, begun)
    return order, payment_of(begun)


def test_money_of_another_environment_never_pays(sandbox, settings, person, product):
    """The shop asks about the live order with the sandbox's key: it does not exist there."""
    order = order_for(person, product)
    begun = started(person, order, "virtual")
    pays(sandbox, person, begun, notify=False)
    wechat = replace(settings.KPAY.wechat, xpay_env=1)
    settings.KPAY = replace(settings.KPAY, wechat=wechat)

    assert person.http.post(f"/api/v1/orders/{order.no}/check").json()["status"] == "pending"


def test_an_order_of_somebody_else_is_not_believed(sandbox, person, product):
    begun = started(person, order_for(person, product), "virtual")
    pays(sandbox, person, begun, notify=False)
    stranger = sandbox.user()["openid"]
    Payment.objects.update(payer_openid=stranger)

    with pytest.raises(FactsDiffer) as differ:
        channel_named("virtual").query(begun["out_trade_no"])
    assert differ.value.detail == {"what": "openid"}


def test_another_amount_is_not_believed(sandbox, person, product):
    order = order_for(person, product)
    begun = started(person, order, "virtual")
    pays(sandbox, person, begun, notify=False)
    Payment.objects.update(amount_fen=9899)

    person.http.post(f"/api/v1/orders/{order.no}/check")

    assert status_of(order) == "pending"


def test_both_numbers_of_the_platform_and_apple_are_kept(sandbox, person, product):
    order = order_for(person, product, "ios")
    begun = started(person, order, "virtual")
    pays(sandbox, person, begun, platform="ios")

    payment, theirs = payment_of(begun), sandbox.virtual_order(begun["out_trade_no"])
    assert payment.by_apple is True
    assert payment.transaction_id == theirs["wx_order_id"]
    assert payment.platform_id == theirs["channel_order_id"]


# --- refunds


def refund_of(order, payment, amount_fen=9900):
    return Refund.objects.create(
        order=order, payment=payment, out_refund_no=f"9{payment.out_trade_no}",
        amount_fen=amount_fen, cause="operator", reason="重复", created_at=clock.now(),
    )  # fmt: skip


def ask(refund):
    return channel_named("virtual").refund(
        RefundOrder(
            out_refund_no=refund.out_refund_no,
            out_trade_no=refund.payment.out_trade_no,
            amount_fen=refund.amount_fen,
            total_fen=refund.payment.amount_fen,
            reason=refund.reason,
        )
    )


def test_what_apple_took_only_apple_gives_back(sandbox, person, product):
    order = order_for(person, product, "ios")
    begun = started(person, order, "virtual")
    pays(sandbox, person, begun, platform="ios")

    with pytest.raises(RefundNotByMerchant):
        ask(refund_of(order, payment_of(begun)))

    assert sandbox.calls("/xpay/refund_order") == []


def test_a_refund_that_reads_done_at_once_is_not_believed_at_once(sandbox, paid):
    sandbox.settings(xpay_hold_refunds=True)
    order, payment = paid
    refund = refund_of(order, payment)

    asked = ask(refund)
    reads = sandbox.virtual_order(payment.out_trade_no)["status"]
    found = channel_named("virtual").refund_find(refund.out_refund_no)

    assert (asked.status, reads) == ("PROCESSING", 5)
    assert found.status == "PROCESSING"


def test_a_refund_that_fails_later_is_closed(sandbox, paid):
    sandbox.settings(xpay_hold_refunds=True)
    order, payment = paid
    refund = refund_of(order, payment)
    ask(refund)

    sandbox.fault("drop", on="push", event_type="xpay_refund_notify")
    sandbox.virtual_refund(refund.out_refund_no, "fail")

    assert sandbox.virtual_order(payment.out_trade_no)["status"] == 4  # the platform's quirk
    assert channel_named("virtual").refund_find(refund.out_refund_no).status == "CLOSED"


def test_a_refund_without_its_push_is_believed_ten_minutes_later(sandbox, paid):
    order, payment = paid
    refund = refund_of(order, payment)
    sandbox.fault("drop", on="push", event_type="xpay_refund_notify")
    ask(refund)
    sandbox.advance(2)

    early = channel_named("virtual").refund_find(refund.out_refund_no)
    sandbox.advance(600)
    late = channel_named("virtual").refund_find(refund.out_refund_no)

    assert (early.status, late.status, late.refund_fen) == ("PROCESSING", "SUCCESS", 9900)


def test_half_and_half_leaves_nothing(sandbox, paid):
    order, payment = paid
    first = refund_of(order, payment, 4000)
    ask(first)
    sandbox.advance(2)
    second = Refund.objects.create(
        order=order, payment=payment, out_refund_no="second0001", amount_fen=5900,
        cause="operator", reason="", created_at=clock.now(),
    )  # fmt: skip

    ask(second)
    sandbox.advance(2)

    assert sandbox.virtual_order(payment.out_trade_no)["left_fee"] == 0
    assert channel_named("virtual").taken_back(payment) == 9900
