"""What `wx.requestVirtualPayment` places and refuses (`wechat.md` B2, G19)."""

import json

import pytest

from tests.sandbox.virtual import hex_hmac, taking
from wechat_sandbox.client import SandboxRefusedError


def refusal(shop, params, **fields):
    with pytest.raises(SandboxRefusedError) as refused:
        shop.platform.virtual_pay(shop.openid, params, **fields)
    assert refused.value.status == 409
    return refused.value.errcode, refused.value.code


def test_rightly_signed_parameters_are_paid(shop, receiver):
    taking(receiver)

    paid = shop.pay()

    assert (paid["errCode"], paid["errMsg"]) == (0, "requestVirtualPayment:ok")
    order = shop.order()
    assert order["order_fee"] == order["paid_fee"] == order["left_fee"] == 9900
    assert (order["status"], order["env_type"], order["order_type"]) == (4, 1, 0)
    assert order["biz_meta"] == "课程"
    assert order["provide_time"] >= order["paid_time"] >= order["create_time"] > 0
    assert order["wx_order_id"] != order["channel_order_id"] != order["wxpay_order_id"]


def test_an_item_of_the_console_has_the_price_it_was_first_sold_at(shop, receiver):
    params = shop.params(productId="by-hand", goodsPrice=500)
    first = shop.platform.virtual_pay(shop.openid, params)
    other = shop.params("V0000002", productId="by-hand", goodsPrice=400)

    assert first["errCode"] == 0
    assert refusal(shop, other) == (-15013, "GOODS_PRICE_INVALID")


@pytest.mark.parametrize(
    ("changed", "errcode", "code"),
    [
        ({"currencyType": "USD"}, -15004, "CURRENCY_TYPE_INVALID"),
        ({"offerId": "1450000000"}, -15001, "OFFER_ID_INVALID"),
        ({"env": 2}, -15001, "ENV_INVALID"),
        ({"buyQuantity": 0}, -15001, "BUY_QUANTITY_INVALID"),
        ({"buyQuantity": "1"}, -15001, "BUY_QUANTITY_INVALID"),
        ({"outTradeNo": "V000001"}, -15001, "OUT_TRADE_NO_INVALID"),
        ({"outTradeNo": "V" * 33}, -15001, "OUT_TRADE_NO_INVALID"),
        ({"outTradeNo": "_V000001"}, -15001, "OUT_TRADE_NO_INVALID"),
        ({"outTradeNo": "V000001!"}, -15001, "OUT_TRADE_NO_INVALID"),
        ({"productId": "course-2"}, -15010, "PRODUCT_ID_NOT_PUBLISH"),
        ({"goodsPrice": 9899}, -15013, "GOODS_PRICE_INVALID"),
        ({"goodsPrice": None}, -15001, "GOODS_PRICE_INVALID"),
        ({"activitySellingPrice": 9901}, -15013, "GOODS_PRICE_INVALID"),
        ({"env": 1}, -15011, "PAYMENT_ILLEGAL_IN_SANDBOX"),
    ],
)
def test_wrong_parameters_are_refused_and_the_number_stays_free(
    shop, receiver, changed, errcode, code
):
    shop.platform.settings(xpay_console_items=False)
    shop.publish()

    assert refusal(shop, shop.params(**changed)) == (errcode, code)

    assert shop.query()["errcode"] == 268490002
    assert receiver.got == []


def test_each_signature_is_checked_over_the_exact_text(shop):
    shop.publish()
    right = shop.params()
    text = right["signData"]
    session_key = shop.buyer["session_key"]

    wrong_env = hex_hmac(shop.key(1), f"requestVirtualPayment&{text}")
    assert refusal(shop, right | {"paySig": wrong_env}) == (-15006, "PAY_SIG_INVALID")
    no_uri = hex_hmac(shop.key(0), text)
    assert refusal(shop, right | {"paySig": no_uri}) == (-15006, "PAY_SIG_INVALID")
    other_text = json.dumps(json.loads(text), separators=(",", ":"))
    assert refusal(shop, right | {"signData": other_text}) == (-15006, "PAY_SIG_INVALID")
    foreign = hex_hmac(session_key[::-1], text)
    assert refusal(shop, right | {"signature": foreign}) == (-15005, "SIGNATURE_INVALID")
    assert refusal(shop, right | {"signData": "[1]"}) == (-15016, "SIGN_DATA_INVALID")
    assert refusal(shop, right | {"mode": "game"}) == (-15001, "MODE_INVALID")
    assert shop.platform.virtual_pay(shop.openid, right)["errCode"] == 0


def test_a_session_key_refreshed_between_signing_and_paying_is_told_apart(shop):
    shop.publish()
    params = shop.params()

    shop.platform.login_code(shop.openid, rotate_session_key=True)

    assert refusal(shop, params) == (-15007, "SESSION_KEY_EXPIRED")


def test_a_number_serves_once_even_when_nothing_was_paid(shop):
    shop.pay("V0000001", "cancel")
    shop.pay("V0000002", "fail")
    shop.pay("V0000003")

    for number in ("V0000001", "V0000002", "V0000003"):
        assert refusal(shop, shop.params(number)) == (-15002, "OUT_TRADE_NO_REPEATED")


def test_a_cancelled_order_waits_and_lapses_and_a_failed_one_is_closed(shop):
    assert shop.pay("V0000001", "cancel")["errCode"] == -2
    assert shop.pay("V0000002", "fail")["errCode"] == -15012

    assert shop.order("V0000001")["status"] == 1
    assert shop.order("V0000001")["paid_fee"] == 0
    assert shop.order("V0000002")["status"] == 6
    shop.platform.settings(xpay_close_seconds=60)
    shop.platform.advance(61)
    assert shop.order("V0000001")["status"] == 6


def test_the_sandbox_environment_works_in_the_developer_tools(shop):
    shop.publish()

    paid = shop.platform.virtual_pay(shop.openid, shop.params(env=1), platform="devtools")

    assert paid["order"]["env_type"] == 2
    assert shop.query()["errcode"] == 268490002
    body = {"openid": shop.openid, "order_id": "V0000001"}
    assert shop.ask("query_order", body, xpay_env=1)["order"]["paid_fee"] == 9900


def test_apple_pays_live_from_one_yuan_on(shop):
    shop.publish()
    shop.publish("cheap", 99)
    cheap = shop.params("V0000001", productId="cheap", goodsPrice=99)

    assert refusal(shop, cheap, platform="ios") == (-15001, "IOS_AMOUNT_TOO_SMALL")
    sandboxed = shop.params("V0000001", env=1)
    assert refusal(shop, sandboxed, platform="ios") == (-15001, "INVALID_PLATFORM")
    shop.platform.settings(xpay_ios=False)
    assert refusal(shop, shop.params(), platform="ios") == (701001, "IOS_NOT_SUPPORT")
    shop.platform.settings(xpay_ios=True)
    paid = shop.platform.virtual_pay(shop.openid, shop.params(), platform="ios")
    assert (paid["errCode"], paid["order"]["wxpay_order_id"]) == (0, "")


def test_a_fresh_or_changed_item_is_quiet_for_a_while(shop):
    shop.publish(quiet_seconds=600)
    recent = (-15014, "COIN_OR_PRODUCT_ID_CREATED_IN_RECENTLY")

    assert refusal(shop, shop.params()) == recent
    shop.platform.advance(600)
    assert shop.platform.virtual_pay(shop.openid, shop.params("V0000001"))["errCode"] == 0
    shop.publish(price_fen=8800, quiet_seconds=600)
    changed = shop.params("V0000002", goodsPrice=8800)
    assert refusal(shop, changed) == recent
    shop.platform.advance(600)
    assert refusal(shop, shop.params("V0000002")) == (-15013, "GOODS_PRICE_INVALID")
    assert shop.platform.virtual_pay(shop.openid, changed)["errCode"] == 0


def test_a_lower_selling_price_and_a_quantity_make_the_fee(shop, receiver):
    taking(receiver)
    shop.publish()
    params = shop.params(buyQuantity=2, activitySellingPrice=8000)

    push = shop.platform.virtual_pay(shop.openid, params)["push"]

    assert shop.order()["paid_fee"] == 16000
    goods = push["fields"]["GoodsInfo"]
    assert (goods["OrigPrice"], goods["ActualPrice"], goods["Quantity"]) == (19800, 16000, 2)


def test_orders_and_pushes_can_be_read_by_control(shop, receiver):
    taking(receiver)
    shop.pay()

    order = shop.platform.virtual_order("V0000001")

    assert (order["channel"], order["platform"]) == ("wxpay", "android")
    assert [push["event"] for push in order["pushes"]] == ["xpay_goods_deliver_notify"]
    assert shop.platform.state()["virtual_orders"][0]["order_id"] == "V0000001"
    with pytest.raises(SandboxRefusedError, match="404 order_not_exist"):
        shop.platform.virtual_order("V0000002")
