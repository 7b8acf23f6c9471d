"""Prepay, query and close, driven by an SDK that shares nothing with the sandbox."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from wechatpayv3 import WeChatPayType

from wechat_sandbox.client import SandboxRefusedError


@pytest.fixture
def prepay(sdk, payer, platform):
    def ask(**changed):
        arguments = {
            "description": "课程",
            "out_trade_no": "T000001",
            "amount": {"total": 9900, "currency": "CNY"},
            "payer": {"openid": payer["openid"]},
        }
        status, text = sdk.pay(**(arguments | changed))
        return status, json.loads(text)

    return ask


def query(sdk, **which):
    status, text = sdk.query(**which)
    return status, json.loads(text)


def test_an_order_is_prepaid_paid_and_found_by_both_numbers(platform, sdk, prepaid, payer):
    number = prepaid(total_fen=9900)
    before = query(sdk, out_trade_no=number)

    transaction_id = platform.pay(number)["transaction_id"]
    after = query(sdk, out_trade_no=number)

    assert before[1]["trade_state"] == "NOTPAY"
    assert "transaction_id" not in before[1]
    assert after[1]["trade_state"] == "SUCCESS"
    assert after[1]["amount"]["total"] == after[1]["amount"]["payer_total"] == 9900
    assert after[1]["payer"] == {"openid": payer["openid"]}
    assert query(sdk, transaction_id=transaction_id) == after


def test_the_same_arguments_give_the_same_prepay_id_and_others_an_error(prepay):
    first = prepay()

    assert first[0] == 200
    assert prepay() == first
    status, reply = prepay(amount={"total": 9901, "currency": "CNY"})
    assert (status, reply["code"]) == (400, "INVALID_REQUEST")
    status, reply = prepay(pay_type=WeChatPayType.NATIVE)
    assert (status, reply["code"]) == (403, "OUT_TRADE_NO_USED")


def test_a_paid_and_a_closed_number_cannot_be_prepaid_again(platform, sdk, prepay):
    prepay(out_trade_no="T000001")
    platform.pay("T000001")
    prepay(out_trade_no="T000002")
    assert sdk.close("T000002")[0] == 204
    assert sdk.close("T000002")[0] == 204

    assert prepay(out_trade_no="T000001")[1]["code"] == "ORDERPAID"
    assert prepay(out_trade_no="T000002")[1]["code"] == "ORDER_CLOSED"
    assert json.loads(sdk.close("T000001")[1])["code"] == "ORDERPAID"
    assert query(sdk, out_trade_no="T000002")[1]["trade_state"] == "CLOSED"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"out_trade_no": "T1"}, "PARAM_ERROR"),
        ({"out_trade_no": "T" * 33}, "PARAM_ERROR"),
        ({"out_trade_no": "T00000中"}, "PARAM_ERROR"),
        ({"description": "课" * 128}, "PARAM_ERROR"),
        ({"amount": {"total": 0}}, "PARAM_ERROR"),
        ({"amount": {"total": 1.5}}, "PARAM_ERROR"),
        ({"amount": {"total": "100"}}, "PARAM_ERROR"),
        ({"amount": {"total": 100, "currency": "USD"}}, "PARAM_ERROR"),
        ({"notify_url": "https://kpay.example/n?x=1"}, "PARAM_ERROR"),
        ({"notify_url": "http://kpay.example/n"}, "PARAM_ERROR"),
        ({"payer": {"openid": "o-nobody"}}, "PARAM_ERROR"),
        ({"time_expire": "2026-01-01 00:00:00"}, "PARAM_ERROR"),
        ({"time_expire": "2020-01-01T00:00:00+08:00"}, "PARAM_ERROR"),
        ({"appid": "wx0000000000000000"}, "APPID_MCHID_NOT_MATCH"),
        ({"mchid": "1900000000"}, "PARAM_ERROR"),
    ],
)
def test_a_field_that_breaks_its_rule_is_refused(prepay, changed, code):
    status, reply = prepay(**changed)

    assert (status, reply["code"]) == (400, code)


def test_an_openid_of_the_other_app_does_not_match(prepay, payer):
    status, reply = prepay(payer={"openid": payer["oa_openid"]})

    assert (status, reply["code"]) == (500, "OPENID_MISMATCH")


def test_unknown_orders_and_the_wrong_merchant_are_refused(platform, sdk):
    assert query(sdk, out_trade_no="T999999")[1]["code"] == "ORDER_NOT_EXIST"
    assert query(sdk, transaction_id="4200")[0] == 404
    assert json.loads(sdk.close("T999999")[1])["code"] == "ORDER_NOT_EXIST"
    assert query(sdk, out_trade_no="T999999", mchid="1")[1]["code"] == "PARAM_ERROR"


def test_a_failed_and_an_abandoned_payment_leave_the_order_unpaid(platform, sdk, prepaid):
    number = prepaid()

    platform.pay(number, "fail")
    platform.pay(number, "abandon")

    assert query(sdk, out_trade_no=number)[1]["trade_state"] == "NOTPAY"
    assert platform.pay(number)["trade_state"] == "SUCCESS"
    with pytest.raises(SandboxRefusedError, match="order_paid"):
        platform.pay(number)


def test_a_platform_coupon_lowers_what_the_payer_pays_not_the_total(platform, sdk, prepaid):
    number = prepaid(total_fen=9900)

    platform.pay(number, payer_total_fen=9000)

    reply = query(sdk, out_trade_no=number)[1]
    assert reply["amount"]["total"] == 9900
    assert reply["amount"]["payer_total"] == 9000
    assert reply["promotion_detail"][0]["amount"] == 900


def test_a_closed_order_is_paid_only_by_force(platform, sdk, prepaid):
    number = prepaid()
    sdk.close(number)

    with pytest.raises(SandboxRefusedError, match="order_closed"):
        platform.pay(number)

    assert platform.pay(number, force=True)["trade_state"] == "SUCCESS"


def test_a_prepay_id_lives_two_hours_and_a_repeat_brings_a_new_one(platform, prepay):
    first = prepay()[1]["prepay_id"]
    platform.advance(7201)

    with pytest.raises(SandboxRefusedError, match="prepay_expired"):
        platform.pay("T000001")

    assert prepay()[1]["prepay_id"] != first
    assert platform.pay("T000001")["trade_state"] == "SUCCESS"


def test_an_hour_of_life_is_accepted_with_any_offset(prepay):
    later = datetime.now(UTC) + timedelta(hours=1)

    assert prepay(time_expire=later.isoformat(timespec="seconds"))[0] == 200
