"""Faults in combination: counts, order, lies, races, and a clock that runs off (G5, G12, G20)."""

import json
import time

import pytest
import requests

TARGET = "/v3/refund/domestic/refunds/R404"


def numbers_told(sdk, receiver):
    return [sdk.callback(*m)["resource"]["out_trade_no"] for m in receiver.notifies()]


def faults_seen(platform, number):
    return [d["fault"] for n in platform.notifies(number) for d in n["deliveries"]]


def order(sdk, number):
    return json.loads(sdk.query(out_trade_no=number)[1])


def test_when_all_are_reordered_each_second_one_overtakes_the_first(
    platform, prepaid, receiver, sdk
):
    platform.fault("reorder")
    for n in range(1, 5):
        platform.pay(prepaid(f"T00000{n}"))
        platform.advance(0)

    assert numbers_told(sdk, receiver) == ["T000002", "T000001", "T000004", "T000003"]


def test_a_reordered_notify_goes_alone_after_ten_minutes(platform, prepaid, receiver, sdk):
    platform.fault("reorder", count=1)
    platform.pay(prepaid())

    platform.advance(599)
    assert receiver.notifies() == []
    platform.advance(2)
    assert numbers_told(sdk, receiver) == ["T000001"]


def test_a_count_of_two_delays_two_notifies(platform, prepaid, receiver):
    platform.fault("delay:100", count=2)
    for n in (1, 2, 3):
        platform.pay(prepaid(f"T00000{n}"))
    assert len(receiver.notifies()) == 1

    platform.advance(101)

    assert len(receiver.notifies()) == 3
    assert [faults_seen(platform, f"T00000{n}") for n in (1, 2, 3)] == [
        ["delay", None],
        ["delay", None],
        [None],
    ]


def test_the_third_notify_is_struck_when_two_go_free(platform, prepaid):
    platform.fault("drop", after_n=2, count=1)
    for n in (1, 2, 3, 4):
        platform.pay(prepaid(f"T00000{n}"))

    assert [faults_seen(platform, f"T00000{n}") for n in (1, 2, 3, 4)] == [
        [None],
        [None],
        ["drop"],
        [None],
    ]


def test_a_late_and_a_hanging_answer_arrive_whole(platform, sdk, prepaid):
    number = prepaid()
    for kind in ("delay:0.3", "hang:0.3"):
        platform.fault(kind, on="api", path="/v3/pay/", count=1)
        started = time.monotonic()

        status, text = sdk.query(out_trade_no=number)

        assert (status, json.loads(text)["out_trade_no"]) == (200, number)
        assert time.monotonic() - started >= 0.3


def test_a_hanging_answer_outlasts_an_impatient_client(platform, make_sdk, prepaid):
    number = prepaid()
    platform.fault("hang:2", on="api", path="/v3/pay/", count=1)

    with pytest.raises(requests.ConnectionError, match="Read timed out"):
        make_sdk(timeout=0.3).query(out_trade_no=number)


def test_a_call_that_is_carried_out_twice_is_answered_once(platform, http, env, payer):
    code = platform.login_code(payer["openid"])
    platform.fault("duplicate", on="api", path="/sns/", count=1)

    reply = http(
        "GET",
        "/sns/jscode2session",
        params={
            "appid": env["KPAY_WECHAT_MP_APPID"],
            "secret": env["KPAY_WECHAT_MP_SECRET"],
            "js_code": code,
            "grant_type": "authorization_code",
        },
    )

    assert reply["errcode"] == 40163  # the second time the code was used already


def test_an_answer_lies_about_the_merchant_only_where_one_is_named(platform, sdk, prepaid, env):
    number = prepaid()
    platform.pay(number)
    platform.fault("wrong_mchid", on="api", path="/v3/")

    lie = order(sdk, number)
    refund = json.loads(
        sdk.refund("R1", {"refund": 1, "total": 9900, "currency": "CNY"}, out_trade_no=number)[1]
    )

    assert lie["mchid"] != env["KPAY_WECHAT_MCHID"]
    assert "mchid" not in refund


def test_a_query_tells_what_it_saw_before_the_payment_that_was_told_meanwhile(
    platform, sdk, prepaid, receiver
):
    number = prepaid()
    path = "/v3/pay/transactions/out-trade-no/"
    platform.fault("notify_before_response", on="api", path=path, count=1)

    stale = order(sdk, number)

    assert stale["trade_state"] == "NOTPAY"
    assert numbers_told(sdk, receiver) == [number]
    assert order(sdk, number)["trade_state"] == "SUCCESS"


def test_a_stale_notify_carries_an_old_time_rightly_signed(platform, prepaid, receiver, sdk):
    platform.fault("stale_timestamp", count=1)
    platform.pay(prepaid())

    stale, right = receiver.notifies()

    # This SDK checks no time, so it reads both: only the time gives the first one away.
    assert sdk.callback(*stale) == sdk.callback(*right)
    ages = [time.time() - int(headers["Wechatpay-Timestamp"]) for headers, _ in (stale, right)]
    assert ages[0] >= 300 > ages[1]


@pytest.mark.parametrize("skew", [-600, 600])
def test_a_platform_clock_ten_minutes_off_refuses_and_signs_with_its_own_time(
    platform, signed, prepaid, receiver, skew
):
    number = prepaid()
    platform.settings(skew_seconds=skew)

    refused = signed("GET", TARGET)
    agreed = signed("GET", TARGET, skew=skew)
    platform.pay(number)

    assert (refused.status_code, refused.json()["code"]) == (401, "SIGN_ERROR")
    assert agreed.status_code == 404
    told_at = int(receiver.notifies()[0][0]["Wechatpay-Timestamp"])
    for moment in (int(agreed.headers["Wechatpay-Timestamp"]), told_at):
        assert abs(moment - time.time() - skew) < 60


def test_a_clock_that_is_two_minutes_off_is_good_enough(platform, signed):
    for skew in (-120, 120):
        platform.settings(skew_seconds=skew)

        assert signed("GET", TARGET).status_code == 404


@pytest.mark.parametrize("key", ["public_key", "certificate"])
def test_answers_are_signed_with_the_key_that_the_request_names(
    platform, signed, env, make_sdk, key
):
    platform.settings(signing="mixed")
    by_certificate = make_sdk(
        public_key=None, public_key_id=None, cert_dir=env["KPAY_WECHAT_PAY_CERT_DIR"]
    )
    certificate = f"{by_certificate._core._certificates[0].serial_number:040X}"
    wanted = certificate if key == "certificate" else env["KPAY_WECHAT_PAY_PUBLIC_KEY_ID"]
    headers = {"Wechatpay-Serial": wanted}

    answers = [signed("GET", TARGET, **headers) for _ in range(8)]

    assert {answer.headers["Wechatpay-Serial"] for answer in answers} == {wanted}
