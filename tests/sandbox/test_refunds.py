"""Refunds are accepted now, settled later, and never above the total (D5, G14)."""

import json

import pytest

from wechat_sandbox.client import SandboxRefusedError


@pytest.fixture
def paid(platform, prepaid):
    number = prepaid(total_fen=9900)
    platform.pay(number)
    platform.settings(refund_gap_seconds=0, hold_refunds=True)
    return number


@pytest.fixture
def refund(sdk, receiver):
    def ask(number, refund_no, fen, *, total=9900, **more):
        status, text = sdk.refund(
            refund_no,
            {"refund": fen, "total": total, "currency": "CNY"},
            out_trade_no=number,
            notify_url=receiver.notify_url,
            **more,
        )
        return status, json.loads(text)

    return ask


def status_of(sdk, refund_no):
    return json.loads(sdk.query_refund(refund_no)[1])["status"]


def test_a_refund_is_processing_until_a_moment_has_passed_then_told(
    platform, paid, refund, sdk, receiver
):
    platform.settings(hold_refunds=False, refund_delay_seconds=60)

    asked = refund(paid, "R1", 100)
    before = status_of(sdk, "R1")
    platform.advance(60)
    platform.advance(0)

    assert asked[1]["status"] == before == "PROCESSING"
    assert status_of(sdk, "R1") == "SUCCESS"
    told = sdk.callback(*receiver.notifies()[-1])
    assert told["event_type"] == "REFUND.SUCCESS"
    assert told["resource"]["refund_status"] == "SUCCESS"
    assert told["resource"]["amount"] == {
        "total": 9900,
        "refund": 100,
        "payer_total": 9900,
        "payer_refund": 100,
    }
    assert json.loads(sdk.query(out_trade_no=paid)[1])["trade_state"] == "REFUND"


@pytest.mark.parametrize("outcome", ["abnormal", "closed"])
def test_a_refund_can_end_badly_and_says_so(platform, paid, refund, sdk, receiver, outcome):
    refund(paid, "R1", 100)

    platform.settle_refund("R1", outcome)

    assert status_of(sdk, "R1") == outcome.upper()
    told = sdk.callback(*receiver.notifies()[-1])
    assert told["event_type"] == f"REFUND.{outcome.upper()}"
    with pytest.raises(SandboxRefusedError, match="refund_settled"):
        platform.settle_refund("R1")


def test_an_outcome_can_be_planned_before_the_refund_is_asked_for(platform, paid, refund, sdk):
    platform.settings(hold_refunds=False, refund_delay_seconds=0)
    platform.settle_refund("R1", "abnormal")

    refund(paid, "R1", 100)
    platform.advance(1)

    assert status_of(sdk, "R1") == "ABNORMAL"


def test_the_same_number_repeats_with_the_same_arguments_only(platform, paid, refund):
    first = refund(paid, "R1", 100)

    assert refund(paid, "R1", 100) == first
    assert refund(paid, "R1", 101)[1]["code"] == "INVALID_REQUEST"


def test_refunds_under_way_count_and_closed_ones_do_not(platform, paid, refund):
    assert refund(paid, "R1", 9000)[0] == 200
    assert refund(paid, "R2", 901)[1]["code"] == "INVALID_REQUEST"
    assert refund(paid, "R3", 900)[0] == 200

    platform.settle_refund("R1", "closed")

    assert refund(paid, "R4", 9001)[1]["code"] == "INVALID_REQUEST"
    assert refund(paid, "R5", 9000)[0] == 200


def test_the_fifty_first_partial_refund_is_refused(platform, paid, refund):
    statuses = [refund(paid, f"R{n}", 1)[0] for n in range(51)]

    assert statuses == [200] * 50 + [403]


def test_a_second_partial_refund_waits_a_minute(platform, paid, refund):
    platform.settings(refund_gap_seconds=60)
    refund(paid, "R1", 100)

    early = refund(paid, "R2", 100)
    platform.advance(61)

    assert (early[0], early[1]["code"]) == (429, "FREQUENCY_LIMITED")
    assert refund(paid, "R2", 100)[0] == 200


def test_a_year_after_the_payment_nothing_goes_back(platform, paid, refund):
    platform.advance(366 * 86400)

    assert refund(paid, "R1", 100)[1]["code"] == "INVALID_REQUEST"


def test_a_refund_of_nothing_paid_or_of_another_total_is_refused(platform, prepaid, paid, refund):
    prepaid("T000002")

    assert refund("T000002", "R1", 100)[1]["code"] == "INVALID_REQUEST"
    assert refund(paid, "R2", 100, total=9901)[1]["code"] == "INVALID_REQUEST"
    assert refund("T999999", "R3", 100)[1]["code"] == "RESOURCE_NOT_EXISTS"
    assert refund(paid, "R" * 65, 100)[1]["code"] == "PARAM_ERROR"
    assert refund(paid, "R4", 100, reason="退" * 27)[1]["code"] == "PARAM_ERROR"


def test_the_payers_part_goes_back_in_proportion(platform, prepaid, refund):
    number = prepaid(total_fen=9900)
    platform.pay(number, payer_total_fen=4950)

    amount = refund(number, "R1", 101)[1]["amount"]

    assert (amount["refund"], amount["payer_refund"], amount["discount_refund"]) == (101, 50, 51)


def test_a_refund_without_notify_address_is_told_to_nobody(platform, paid, make_sdk, receiver):
    quiet = make_sdk(notify_url=None)
    status, _ = quiet.refund(
        "R1", {"refund": 1, "total": 9900, "currency": "CNY"}, out_trade_no=paid
    )

    assert status == 200
    assert platform.settle_refund("R1")["notify"] is None
    assert len(receiver.notifies()) == 1
