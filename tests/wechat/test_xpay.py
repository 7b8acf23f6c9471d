"""Virtual payment: what the client is handed, and what the platform's codes mean to callers."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import date

import pytest

from kernel.errors import InvariantBroken
from kernel.ids import new_no
from wechat.errors import WeChatNotConfigured, WeChatNotNow, WeChatRefused, WeChatUncertain
from wechat.xpay import (
    OrderStatus,
    OrderType,
    VirtualOrder,
    XpayClient,
    pay_sig,
    user_signature,
    xpay_client,
)

SESSION_KEY = "9hAb/NEYUlkaMBEsmFgzig=="
LIVE, SANDBOX = "live-app-key", "sandbox-app-key"
QUERY = "/xpay/query_order"


@pytest.fixture(autouse=True)
def _offer(settings):
    wechat = replace(
        settings.KPAY.wechat,
        xpay_offer_id="1450000001",
        xpay_app_key=LIVE,
        xpay_app_key_sandbox=SANDBOX,
        xpay_env=0,
    )
    settings.KPAY = replace(settings.KPAY, wechat=wechat)


def configured(settings, **changes):
    settings.KPAY = replace(settings.KPAY, wechat=replace(settings.KPAY.wechat, **changes))


def hexed(key, message):
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()


def params(**changes):
    values = {
        "out_trade_no": "202611240800000000000001",
        "product_id": "course_12",
        "price_fen": 9900,
        "quantity": 1,
        "session_key": SESSION_KEY,
        "attach": "系统课程",
    }
    return xpay_client().client_params(**{**values, **changes})


@pytest.mark.parametrize(("env", "key"), [(0, LIVE), (1, SANDBOX)])
def test_the_client_is_handed_one_text_signed_twice(settings, env, key):
    configured(settings, xpay_env=env)

    given = params()

    assert given["mode"] == "short_series_goods"
    assert json.loads(given["signData"]) == {
        "offerId": "1450000001",
        "buyQuantity": 1,
        "env": env,
        "currencyType": "CNY",
        "productId": "course_12",
        "goodsPrice": 9900,
        "outTradeNo": "202611240800000000000001",
        "attach": "系统课程",
    }
    assert "系统课程" in given["signData"]  # unescaped, as it is signed
    assert given["paySig"] == hexed(key, "requestVirtualPayment&" + given["signData"])
    assert given["signature"] == hexed(SESSION_KEY, given["signData"])
    assert set(given) == {"mode", "signData", "paySig", "signature"}


def test_one_byte_or_another_path_is_another_signature():
    body = '{"a": 1}'

    assert pay_sig(LIVE, "/xpay/query_order", body) != pay_sig(LIVE, "/xpay/refund_order", body)
    assert pay_sig(LIVE, "/x", body) != pay_sig(LIVE, "/x", '{"a":1}')
    assert pay_sig(LIVE, "/x", body) == pay_sig(LIVE, "/x", body.encode())
    assert user_signature(SESSION_KEY, body) != user_signature("other", body)


@pytest.mark.parametrize("number", ["_2345678", "1234567", "1" * 33, "12345678中", "1234567 8", ""])
def test_a_number_that_the_platform_would_not_take_is_never_signed(number):
    with pytest.raises(InvariantBroken):
        params(out_trade_no=number)


def test_our_own_numbers_are_taken():
    number = new_no()

    assert json.loads(params(out_trade_no=number)["signData"])["outTradeNo"] == number


def test_without_an_offer_there_is_no_client(settings):
    configured(settings, xpay_offer_id="", xpay_app_key="")

    with pytest.raises(WeChatNotConfigured):
        xpay_client()


def test_no_key_shows_in_a_repr():
    client = xpay_client()

    shown = repr(client._config) + repr(client._platform.config) + repr(vars(client))

    assert LIVE not in shown
    assert client._platform.config.secret not in shown


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "kind", "asked"),
    [
        ("-1", WeChatUncertain, 2),  # a read is tried once more
        ("268490014", WeChatUncertain, 1),
        ("268490003", WeChatRefused, 1),
        ("268490009", WeChatRefused, 1),
        ("268490001", WeChatRefused, 1),
        ("268490011", WeChatNotNow, 1),
        ("268490012", WeChatNotNow, 1),
        ("268490015", WeChatNotNow, 1),
        ("45009", WeChatNotNow, 1),
        ("48001", WeChatNotConfigured, 1),
    ],
)
def test_a_code_says_what_may_be_done_next(sandbox, code, kind, asked):
    sandbox.fault(f"errcode:{code}", on="api", path=QUERY)

    with pytest.raises(kind) as error:
        xpay_client().query_order(openid="oX", out_trade_no=new_no())

    assert type(error.value) is kind
    assert error.value.wechat_code == code
    assert len(sandbox.calls(QUERY)) == asked


@pytest.mark.django_db
def test_money_is_never_sent_twice_by_itself(sandbox):
    sandbox.fault("errcode:-1", on="api", path="/xpay/refund_order")

    with pytest.raises(WeChatUncertain):
        refund(xpay_client())

    assert len(sandbox.calls("/xpay/refund_order")) == 1


@pytest.mark.django_db
def test_a_refund_that_was_taken_before_is_a_success(sandbox):
    sandbox.fault("errcode:268490004", on="api", path="/xpay/refund_order")

    taken = refund(xpay_client())

    assert (taken.out_refund_no, taken.repeated) == ("R20261124-1", True)


@pytest.mark.django_db
def test_a_delivery_that_was_told_before_is_a_success(sandbox):
    sandbox.fault("errcode:268490004", on="api", path="/xpay/notify_provide_goods")

    xpay_client().provide_goods(out_trade_no="202611240800000000000001")


@pytest.mark.django_db
def test_a_bill_that_is_being_made_is_none_yet(sandbox):
    sandbox.fault("errcode:268490011", on="api", path="/xpay/download_bill")

    assert xpay_client().bill_url(date(2026, 11, 1), date(2026, 11, 2)) is None
    (call,) = sandbox.calls("/xpay/download_bill")
    assert json.loads(call["body"]) == {"begin_ds": 20261101, "end_ds": 20261102, "env": 0}


@pytest.mark.django_db
def test_what_is_signed_is_what_is_sent(sandbox):
    sandbox.fault("errcode:268490016", on="api", path="/xpay/refund_order")

    with pytest.raises(WeChatRefused):
        refund(xpay_client())

    (call,) = sandbox.calls("/xpay/refund_order")
    asked = json.loads(call["body"])
    assert asked["biz_meta"] == "不想学了"
    assert (asked["left_fee"], asked["refund_fee"], asked["env"]) == (9900, 900, 0)
    assert (asked["refund_reason"], asked["req_from"]) == ("5", "2")
    assert call["query"]["pay_sig"] == hexed(LIVE, "/xpay/refund_order&" + call["body"])
    assert "signature" not in call["query"]


def refund(client: XpayClient):
    return client.refund_order(
        openid="oX",
        out_trade_no="202611240800000000000001",
        out_refund_no="R20261124-1",
        left_fen=9900,
        refund_fen=900,
        reason="不想学了",
        by_staff=False,
    )


@pytest.mark.parametrize(
    ("kind", "platform", "apple"),
    [
        (OrderType.PAYMENT, "android", False),
        (OrderType.REFUND, "android", False),
        (OrderType.APPLE_PAYMENT, "ios", True),
        (OrderType.APPLE_REFUND, "ios", True),
        (99, "android", False),  # a kind of tomorrow
    ],
)
def test_an_order_tells_whose_fee_applies(kind, platform, apple):
    order = VirtualOrder.parse(
        {
            "order_id": "n1",
            "status": 2,
            "order_type": int(kind),
            "order_fee": 9900,
            "paid_fee": "9900",
            "env_type": 2,
            "paid_time": 1700000000,
            "provide_time": 0,
        }
    )

    assert (order.platform, order.is_apple) == (platform, apple)
    assert (order.status, order.order_fen, order.paid_fen) == (OrderStatus.PAID, 9900, 9900)
    assert (order.env, order.platform_fee_fen, order.provided_at) == (1, None, None)
    assert order.paid_at.isoformat() == "2023-11-14T22:13:20+00:00"
