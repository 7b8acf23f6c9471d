"""Refunds that lack money, go astray, or were never asked for by the product (D5, G14)."""

import json

import pytest

from tests.sandbox.bills import fetch, parsed
from wechat_sandbox.client import SandboxRefusedError


@pytest.fixture
def paid(platform, prepaid):
    number = prepaid(total_fen=9900)
    platform.pay(number)
    platform.settings(refund_gap_seconds=0, hold_refunds=True)
    return number


@pytest.fixture
def refund(sdk, receiver):
    def ask(number, refund_no, fen):
        status, text = sdk.refund(
            refund_no,
            {"refund": fen, "total": 9900, "currency": "CNY"},
            out_trade_no=number,
            notify_url=receiver.notify_url,
        )
        return status, json.loads(text)

    return ask


@pytest.fixture
def abnormal(platform, paid, refund):
    """The refund_id of R1, which could not reach the payer."""
    refund_id = refund(paid, "R1", 100)[1]["refund_id"]
    platform.settle_refund("R1", "abnormal")
    return refund_id


def found(sdk, refund_no="R1"):
    return json.loads(sdk.query_refund(refund_no)[1])


def events(receiver):
    return [json.loads(body)["event_type"] for _, body in receiver.notifies()]


def test_a_refund_beyond_the_balance_waits_for_money_under_the_same_number(
    platform, sdk, paid, refund
):
    platform.settings(merchant_balance_fen=993)
    # 10.00 costs the merchant 9.94: the fee of 0.06 comes back.
    status, reply = refund(paid, "R1", 1000)
    assert (status, reply["code"]) == (403, "NOT_ENOUGH")
    assert sdk.query_refund("R1")[0] == 404

    platform.settings(merchant_balance_fen=994)

    assert refund(paid, "R1", 1000)[1]["status"] == "PROCESSING"
    assert platform.settings()["merchant_balance_fen"] == 0
    assert refund(paid, "R2", 1000)[1]["code"] == "NOT_ENOUGH"


def test_payments_fill_the_balance_and_closed_refunds_return_to_it(platform, paid, refund, prepaid):
    platform.settings(merchant_balance_fen=0)
    platform.pay(prepaid("T000002", total_fen=1000))
    assert platform.settings()["merchant_balance_fen"] == 994

    refund(paid, "R1", 1000)
    assert platform.settings()["merchant_balance_fen"] == 0
    platform.settle_refund("R1", "closed")

    assert platform.settings()["merchant_balance_fen"] == 994


def test_a_coupon_that_the_merchant_gave_is_neither_settled_nor_refunded(platform, prepaid, refund):
    number = prepaid(total_fen=9900)
    platform.pay(number, payer_total_fen=4950, coupon_type="NOCASH")

    amount = refund(number, "R1", 1000)[1]["amount"]

    assert (amount["settlement_total"], amount["settlement_refund"]) == (4950, 500)
    assert (amount["refund"], amount["payer_refund"]) == (1000, 500)


def test_a_system_error_can_hide_a_refund_that_was_taken(platform, sdk, paid, refund):
    platform.fault("errcode:SYSTEM_ERROR", on="api", path="/v3/refund/", count=1, effected=True)

    first = refund(paid, "R1", 9900)
    again = refund(paid, "R1", 9900)

    assert (first[0], first[1]["code"]) == (500, "SYSTEM_ERROR")
    assert (again[0], again[1]["status"]) == (200, "PROCESSING")
    assert again[1]["refund_id"] == found(sdk)["refund_id"]
    assert refund(paid, "R2", 1)[1]["code"] == "INVALID_REQUEST"


def test_an_abnormal_refund_goes_to_a_card_of_the_payer(platform, sdk, receiver, abnormal):
    status, text = sdk.abnormal_refund(
        abnormal, "R1", "USER_BANK_CARD", "ICBC_DEBIT", "6222021234560403", "李雷"
    )
    reply = json.loads(text)
    assert (status, reply["status"], reply["channel"]) == (200, "PROCESSING", "OTHER_BANKCARD")
    assert reply["user_received_account"] == "ICBC_DEBIT0403"

    platform.settle_refund("R1")

    assert found(sdk)["status"] == "SUCCESS"
    assert events(receiver)[1:] == ["REFUND.ABNORMAL", "REFUND.SUCCESS"]
    told = sdk.callback(*receiver.notifies()[-1])["resource"]
    assert (told["refund_status"], told["user_received_account"]) == ("SUCCESS", "ICBC_DEBIT0403")


def test_an_abnormal_refund_goes_back_to_the_merchant_after_a_while(
    platform, sdk, receiver, abnormal
):
    platform.settings(hold_refunds=False, refund_delay_seconds=60)
    assert sdk.abnormal_refund(abnormal, "R1", "MERCHANT_BANK_CARD")[0] == 200
    assert found(sdk)["status"] == "PROCESSING"

    platform.advance(60)

    assert found(sdk)["status"] == "SUCCESS"
    assert events(receiver)[-1] == "REFUND.SUCCESS"


def test_the_same_way_out_can_be_asked_for_twice_and_another_cannot(sdk, abnormal):
    card = ("USER_BANK_CARD", "ICBC_DEBIT", "6222021234560403", "李雷")

    first = sdk.abnormal_refund(abnormal, "R1", *card)
    again = sdk.abnormal_refund(abnormal, "R1", *card)
    other = sdk.abnormal_refund(abnormal, "R1", "MERCHANT_BANK_CARD")

    assert first == again
    assert json.loads(other[1])["code"] == "INVALID_REQUEST"


def test_only_an_abnormal_refund_is_sent_elsewhere(sdk, paid, refund):
    refund_id = refund(paid, "R1", 100)[1]["refund_id"]

    early = sdk.abnormal_refund(refund_id, "R1", "MERCHANT_BANK_CARD")
    unknown = sdk.abnormal_refund("50300000000", "R1", "MERCHANT_BANK_CARD")

    assert (early[0], json.loads(early[1])["code"]) == (400, "INVALID_REQUEST")
    assert (unknown[0], json.loads(unknown[1])["code"]) == (404, "RESOURCE_NOT_EXISTS")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"out_refund_no": "R2", "type": "MERCHANT_BANK_CARD"}, "INVALID_REQUEST"),
        ({"out_refund_no": "R1", "type": "CASH"}, "PARAM_ERROR"),
        ({"out_refund_no": "R1"}, "PARAM_ERROR"),
        ({"out_refund_no": "R1", "type": "USER_BANK_CARD"}, "PARAM_ERROR"),
        (
            {
                "out_refund_no": "R1",
                "type": "USER_BANK_CARD",
                "bank_type": "ICBC_DEBIT",
                "bank_account": "6222021234560403",
                "real_name": "李雷",
            },
            "PARAM_ERROR",
        ),
    ],
)
def test_a_way_out_that_is_told_wrongly_or_in_clear_is_refused(signed, env, abnormal, body, code):
    serial = {"Wechatpay-Serial": env["KPAY_WECHAT_PAY_PUBLIC_KEY_ID"]}
    target = f"/v3/refund/domestic/refunds/{abnormal}/apply-abnormal-refund"

    reply = signed("POST", target, json.dumps(body).encode(), **serial)

    assert (reply.status_code, reply.json()["code"]) == (400, code)


def test_a_refund_made_on_the_console_is_told_and_stands_in_the_bill(
    platform, sdk, receiver, prepaid
):
    number = prepaid(total_fen=9900)
    platform.pay(number)

    made = platform.console_refund(number, amount_fen=300)

    assert (made["status"], made["notify"]["state"]) == ("SUCCESS", "received")
    assert events(receiver) == ["TRANSACTION.SUCCESS", "REFUND.SUCCESS"]
    told = sdk.callback(*receiver.notifies()[-1])["resource"]
    assert told["out_refund_no"] == made["out_refund_no"]
    assert told["amount"] == {
        "total": 9900,
        "refund": 300,
        "payer_total": 9900,
        "payer_refund": 300,
    }
    day = found(sdk, made["out_refund_no"])["create_time"][:10]
    platform.call("POST", "/clock", now=f"{day}T23:59:59+08:00")
    platform.advance(11 * 3600)
    row = parsed(fetch(sdk, day, variant="REFUND"))[1][0]
    assert (row["商户退款单号"], row["退款金额"]) == (made["out_refund_no"], "3.00")


def test_a_console_refund_may_be_held_and_takes_no_more_than_is_there(platform, sdk, paid, refund):
    refund(paid, "R1", 9000)

    made = platform.console_refund(paid, amount_fen=900, outcome="closed")

    assert (made["status"], made["notify"]) == ("PROCESSING", None)
    with pytest.raises(SandboxRefusedError, match="409 invalid_request"):
        platform.console_refund(paid, amount_fen=1)
    with pytest.raises(SandboxRefusedError, match="404 order_not_exist"):
        platform.console_refund("T999999")
    assert platform.settle_refund(made["out_refund_no"])["status"] == "SUCCESS"
