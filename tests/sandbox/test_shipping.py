"""Order shipping of what was paid through JSAPI (`wechat.md` A9, G21)."""

import json
from datetime import UTC, datetime

import pytest

from tests.sandbox.virtual import opened
from wechat_sandbox.client import SandboxRefusedError


@pytest.fixture
def sold(prepaid, platform, sdk):
    """One paid order; ten seconds have passed since."""
    number = prepaid()
    platform.pay(number, notify=False)
    platform.advance(10)
    return number


@pytest.fixture
def ship(shop, env, payer):
    def upload(number="T000001", **changed):
        body = {
            "order_key": {
                "order_number_type": 1,
                "mchid": env["KPAY_WECHAT_MCHID"],
                "out_trade_no": number,
            },
            "logistics_type": 3,
            "delivery_mode": 1,
            "shipping_list": [{"item_desc": "从零开始学编程"}],
            "upload_time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "payer": {"openid": payer["openid"]},
        } | changed
        params = {"access_token": shop.token}
        return shop.http("POST", "/wxa/sec/order/upload_shipping_info", params=params, json=body)[
            "errcode"
        ]

    return upload


def found(shop, **key):
    params = {"access_token": shop.token}
    return shop.http("POST", "/wxa/sec/order/get_order", params=params, json=key)


def test_a_virtual_delivery_is_told(sold, ship, shop, env, payer):
    assert ship() == 0

    order = found(shop, merchant_id=env["KPAY_WECHAT_MCHID"], merchant_trade_no=sold)["order"]
    assert (order["order_state"], order["paid_amount"]) == (2, 9900)
    assert order["openid"] == payer["openid"]
    assert order["shipping"]["logistics_type"] == 3
    assert order["shipping"]["goods_desc"] == "从零开始学编程"
    again = found(shop, transaction_id=order["transaction_id"])["order"]
    assert again["merchant_trade_no"] == sold
    by_id = {"order_number_type": 2, "transaction_id": order["transaction_id"]}
    assert ship(order_key=by_id) == 10060023


def test_a_payment_takes_ten_seconds_to_be_known(prepaid, platform, ship):
    platform.settings(shipping_seconds=60)
    number = prepaid()
    assert ship() == 10060001
    platform.pay(number, notify=False)

    assert ship() == 10060001
    platform.advance(60)

    assert ship() == 0


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"payer": {"openid": "oSomebodyElse"}}, 10060031),
        ({"payer": None}, 10060014),
        ({"order_key": None}, 10060014),
        ({"order_key": {"order_number_type": 2, "transaction_id": "42"}}, 10060001),
        (
            {"order_key": {"order_number_type": 1, "mchid": "1", "out_trade_no": "T000001"}},
            10060001,
        ),
        ({"logistics_type": 5}, 10060005),
        ({"logistics_type": [3]}, 10060005),
        ({"logistics_type": 1}, 268485226),
        ({"delivery_mode": 2}, 10060006),
        ({"delivery_mode": 3}, 10060014),
        ({"shipping_list": []}, 10060014),
        ({"shipping_list": [{}]}, 10060008),
        ({"shipping_list": [{"item_desc": "课" * 121}]}, 10060009),
        ({"upload_time": "2026-10-07 10:00:00"}, 10060014),
    ],
)
def test_wrong_deliveries_are_refused(sold, ship, shop, env, changed, errcode):
    assert ship(**changed) == errcode

    order = found(shop, merchant_id=env["KPAY_WECHAT_MCHID"], merchant_trade_no=sold)["order"]
    assert order["order_state"] == 1


def test_a_delivery_may_be_corrected_once(sold, ship, platform):
    assert ship() == 0
    assert ship() == 10060023
    assert ship(shipping_list=[{"item_desc": "微积分入门"}]) == 0
    assert ship(shipping_list=[{"item_desc": "线性代数"}]) == 10060003

    platform.settle_shipping(sold, "received")

    assert ship(shipping_list=[{"item_desc": "概率论"}]) == 10060002


def test_what_was_refunded_is_not_shipped(sold, ship, sdk):
    sdk.refund("R000001", {"refund": 9900, "total": 9900, "currency": "CNY"}, out_trade_no=sold)

    assert ship() == 10060004


def test_whether_trade_is_managed_is_told(shop, env):
    def ask(appid):
        params = {"access_token": shop.token}
        return shop.http(
            "POST", "/wxa/sec/order/is_trade_managed", params=params, json={"appid": appid}
        )

    assert ask(env["KPAY_WECHAT_MP_APPID"])["is_trade_managed"] is True
    shop.platform.settings(trade_managed=False)
    assert ask(env["KPAY_WECHAT_MP_APPID"])["is_trade_managed"] is False
    assert ask("wx0")["errcode"] == 40013


def test_the_platform_reminds_and_tells_the_settlement(sold, ship, platform, receiver, env, payer):
    platform.remind_shipping(sold)
    reminder = json.loads(opened(env, receiver))
    assert reminder["Event"] == "trade_manage_remind_shipping"
    assert (reminder["merchant_trade_no"], reminder["FromUserName"]) == (sold, payer["openid"])
    with pytest.raises(SandboxRefusedError, match="409 not_shipped"):
        platform.settle_shipping(sold)

    ship()
    platform.settle_shipping(sold, "shipped")
    shipped = json.loads(opened(env, receiver))
    assert shipped["estimated_settlement_time"] == shipped["shipped_time"] + 2 * 86400
    assert "settlement_time" not in shipped
    platform.settle_shipping(sold, method="manual")
    settled = json.loads(opened(env, receiver))
    assert settled["Event"] == "trade_manage_order_settlement"
    assert settled["confirm_receive_method"] == 2
    assert settled["settlement_time"] >= settled["confirm_receive_time"] > 0
