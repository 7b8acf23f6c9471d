"""Each fault does what docs/sandbox.md says, and draws repeatably."""

import json
import threading
import time

import pytest
import requests

from wechat_sandbox.client import SandboxRefusedError

REFUSING = {
    "bad_signature",
    "signtest",
    "stale_timestamp",
    "unknown_serial",
    "wrong_apiv3_key",
    "plain_downgrade",
    "wrong_amount",
    "wrong_mchid",
    "wrong_appid",
}


def deliveries(platform, number):
    return [d for n in platform.notifies(number) for d in n["deliveries"]]


def faults_seen(platform, number):
    return [d["fault"] for d in deliveries(platform, number)]


def test_a_dropped_notify_never_leaves_and_the_next_one_arrives(platform, prepaid, receiver):
    platform.fault("drop", count=1)
    number = prepaid()
    platform.pay(number)

    assert receiver.notifies() == []
    platform.advance(15)
    assert len(receiver.notifies()) == 1
    assert faults_seen(platform, number) == ["drop", None]


def test_a_delayed_notify_comes_when_its_time_has_come(platform, prepaid, receiver):
    platform.fault("delay:100")
    platform.pay(prepaid())

    platform.advance(99)
    assert receiver.notifies() == []
    platform.advance(2)
    assert len(receiver.notifies()) == 1


def test_a_duplicated_notify_comes_several_times_at_once(platform, prepaid, receiver):
    together = threading.Barrier(3)

    def answer(*_):
        together.wait(5)
        return 200, b""

    receiver.answer = answer
    platform.fault("duplicate", copies=3, count=1)

    platform.pay(prepaid())

    assert len(receiver.notifies()) == 3
    assert len({body for _, body in receiver.notifies()}) == 1


def test_a_reordered_payment_notify_comes_after_the_refunds(platform, prepaid, receiver, sdk):
    platform.fault("reorder", event_type="TRANSACTION.SUCCESS", count=1)
    platform.settings(hold_refunds=True)
    number = prepaid()
    platform.pay(number)
    refund(sdk, number, "R1", receiver.notify_url)

    platform.settle_refund("R1")
    platform.advance(0)

    events = [json.loads(body)["event_type"] for _, body in receiver.notifies()]
    assert events == ["REFUND.SUCCESS", "TRANSACTION.SUCCESS"]


@pytest.mark.parametrize("kind", sorted(REFUSING))
def test_a_forged_notify_is_followed_by_the_right_one_at_once(
    platform, prepaid, receiver, sdk, kind
):
    platform.fault(kind)
    number = prepaid(total_fen=9900)

    platform.pay(number)

    assert faults_seen(platform, number) == [kind, None]
    told = sdk.callback(*receiver.notifies()[1])
    assert told["resource"]["amount"]["total"] == 9900


def test_a_count_sends_that_many_forged_ones_first(platform, prepaid):
    platform.fault("bad_signature", count=3)
    number = prepaid()

    platform.pay(number)

    assert faults_seen(platform, number) == ["bad_signature"] * 3 + [None]


def test_without_follow_only_the_forged_one_goes_and_the_plan_runs_on(platform, prepaid):
    platform.fault("signtest", count=1, follow=False)
    number = prepaid()

    platform.pay(number)
    assert faults_seen(platform, number) == ["signtest"]
    platform.advance(15)
    assert faults_seen(platform, number) == ["signtest", None]


def test_a_replayed_notify_is_an_older_one_byte_for_byte(platform, prepaid, receiver):
    platform.pay(prepaid("T000001"))
    platform.fault("replay", count=1)

    platform.pay(prepaid("T000002"))

    first, replay, second = [body for _, body in receiver.notifies()]
    assert replay == first
    assert second != first


@pytest.mark.parametrize(
    ("kind", "arrived"),
    [("http_500", 2), ("timeout", 2), ("reset_after_effect", 2), ("reset_before_effect", 1)],
)
def test_an_answer_that_is_lost_brings_the_notify_again(platform, prepaid, receiver, kind, arrived):
    platform.fault(kind, count=1)
    number = prepaid()
    platform.pay(number)
    assert platform.notifies(number)[0]["state"] == "pending"

    platform.advance(15)

    assert platform.notifies(number)[0]["state"] == "received"
    # The receiver may still be reading the connection that was cut.
    deadline = time.monotonic() + 5
    while len(receiver.notifies()) < arrived and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(receiver.notifies()) == arrived


def test_a_slow_body_takes_its_time_and_arrives(platform, prepaid):
    platform.fault("hang:0.3", count=1)
    number = prepaid()

    platform.pay(number)

    [delivery] = deliveries(platform, number)
    assert delivery["status"] == 200
    assert delivery["seconds"] >= 0.3


def test_an_answer_after_five_seconds_does_not_count(platform, prepaid, receiver):
    def answer(*_):
        time.sleep(5.3)
        return 200, b""

    receiver.answer = answer

    assert platform.pay(prepaid())["notify"]["state"] == "pending"


@pytest.mark.parametrize("kind", ["drop", "reset_before_effect"])
def test_a_call_that_is_cut_before_its_effect_changes_nothing(platform, sdk, payer, kind):
    platform.fault(kind, on="api", path="/v3/pay/transactions/jsapi", count=1)

    with pytest.raises(requests.ConnectionError):
        prepay(sdk, payer)

    assert sdk.query(out_trade_no="T000001")[0] == 404
    assert prepay(sdk, payer)[0] == 200


def test_a_call_that_is_cut_after_its_effect_has_happened(platform, sdk, payer):
    platform.fault("reset_after_effect", on="api", path="/v3/pay/transactions/jsapi", count=1)

    with pytest.raises(requests.ConnectionError):
        prepay(sdk, payer)

    assert sdk.query(out_trade_no="T000001")[0] == 200


def test_a_call_that_times_out_has_happened(platform, make_sdk, sdk, payer):
    platform.fault("timeout:1", on="api", path="/v3/pay/transactions/jsapi", count=1)

    with pytest.raises(requests.Timeout):
        prepay(make_sdk(timeout=0.3), payer)

    assert sdk.query(out_trade_no="T000001")[0] == 200


def test_a_500_can_hide_an_effect(platform, sdk, payer):
    path = "/v3/pay/transactions/jsapi"
    platform.fault("http_500", on="api", path=path, count=1)
    assert prepay(sdk, payer)[0] == 500
    assert sdk.query(out_trade_no="T000001")[0] == 404

    platform.fault("http_500", on="api", path=path, count=1, effected=True)
    assert prepay(sdk, payer)[0] == 500
    assert sdk.query(out_trade_no="T000001")[0] == 200


def test_error_codes_and_rate_limits_look_as_on_each_host(platform, sdk, payer, http, env):
    platform.fault("errcode:NOT_ENOUGH", on="api", path="/v3/", count=1)
    platform.fault("rate_limit", on="api", path="/v3/", count=1)
    platform.fault("errcode:-1", on="api", path="/sns/", count=1)
    platform.fault("rate_limit", on="api", path="/sns/", count=1)

    pay_replies = [prepay(sdk, payer) for _ in range(2)]
    sns_replies = [http("GET", "/sns/jscode2session")["errcode"] for _ in range(3)]

    assert [(s, json.loads(t)["code"]) for s, t in pay_replies] == [
        (403, "NOT_ENOUGH"),
        (429, "FREQUENCY_LIMITED"),
    ]
    assert sns_replies == [-1, 45011, 41002]


def test_a_query_can_lie_about_the_amount(platform, sdk, prepaid):
    number = prepaid(total_fen=9900)
    platform.pay(number)
    platform.fault("wrong_amount", on="api", path="/v3/pay/transactions/out-trade-no", count=1)

    lie, truth = [json.loads(sdk.query(out_trade_no=number)[1]) for _ in range(2)]

    assert (lie["amount"]["total"], truth["amount"]["total"]) == (9901, 9900)


def test_a_payment_can_slip_in_while_an_order_is_closed(platform, sdk, prepaid, receiver):
    platform.fault("notify_before_response", on="api", path="/v3/pay/", after_n=1)
    number = prepaid()

    status, text = sdk.close(number)

    assert (status, json.loads(text)["code"]) == (400, "ORDERPAID")
    assert len(receiver.notifies()) == 1


def test_a_refunds_notify_can_overtake_the_answer(platform, sdk, prepaid, receiver):
    number = prepaid()
    platform.pay(number)
    platform.fault("notify_before_response", on="api", path="/v3/refund/")

    _, text = refund(sdk, number, "R1", receiver.notify_url)

    assert json.loads(text)["status"] == "PROCESSING"
    events = [json.loads(body)["event_type"] for _, body in receiver.notifies()]
    assert events == ["TRANSACTION.SUCCESS", "REFUND.SUCCESS"]


def test_the_same_seed_draws_the_same_faults(platform, http):
    def draws():
        platform.reset()
        platform.fault("errcode:-1", on="api", path="/sns/", probability=0.5, seed=11)
        return [http("GET", "/sns/jscode2session")["errcode"] for _ in range(20)]

    first = draws()

    assert draws() == first
    assert set(first) == {-1, 41002}


def test_a_fault_starts_after_n_matches_and_its_counters_tell(platform, http):
    platform.fault("errcode:-1", on="api", path="/sns/", after_n=2, count=1, id="late")

    codes = [http("GET", "/sns/jscode2session")["errcode"] for _ in range(4)]

    assert codes == [41002, 41002, -1, 41002]
    [fault] = platform.faults()
    assert (fault["id"], fault["matched"], fault["fired"]) == ("late", 3, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "explode"},
        {"kind": "replay", "on": "api"},
        {"kind": "drop", "probability": 1.5},
        {"kind": "drop", "probability": "often"},
        {"kind": "errcode", "on": "api"},
        {"kind": "hang:long", "on": "api"},
        {"kind": "drop", "sometimes": True},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(platform, fields):
    with pytest.raises(SandboxRefusedError, match="400 invalid_fault"):
        platform.fault(**fields)


def prepay(sdk, payer):
    return sdk.pay("课程", "T000001", {"total": 100}, payer={"openid": payer["openid"]})


def refund(sdk, number, refund_no, notify_url):
    return sdk.refund(
        refund_no,
        {"refund": 100, "total": 9900, "currency": "CNY"},
        out_trade_no=number,
        notify_url=notify_url,
    )
