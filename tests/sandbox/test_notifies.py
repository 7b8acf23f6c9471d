"""Notifies: readable by an independent SDK, repeated by the plan of D4, forged on request."""

import json

import pytest

FORGED = [
    "bad_signature",
    "signtest",
    "stale_timestamp",
    "wrong_amount",
    "wrong_mchid",
    "wrong_appid",
    "unknown_serial",
    "wrong_apiv3_key",
    "plain_downgrade",
]


def test_a_payment_is_told_in_a_notify_that_the_sdk_reads(platform, sdk, prepaid, receiver):
    number = prepaid(total_fen=9900)

    paid = platform.pay(number)

    headers, body = receiver.notifies()[0]
    told = sdk.callback(headers, body)
    assert told["event_type"] == "TRANSACTION.SUCCESS"
    assert told["resource"]["transaction_id"] == paid["transaction_id"]
    assert told["resource"]["amount"]["total"] == 9900
    assert headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"
    assert paid["notify"]["state"] == "received"


def test_a_refused_notify_comes_again_by_plan_with_the_same_id(platform, prepaid, receiver):
    receiver.answer = lambda *_: (500, b'{"code":"FAIL","message":"busy"}')
    number = prepaid()
    platform.pay(number)

    counts = [len(receiver.notifies())]
    for seconds in (14, 2, 15, 30, 180):
        platform.advance(seconds)
        counts.append(len(receiver.notifies()))
    receiver.answer = lambda *_: (204, b"")
    platform.advance(600)
    platform.advance(86400)

    # 15 s, 15 s, 30 s, 3 min, 10 min; then it was received and nothing follows.
    assert counts == [1, 1, 2, 3, 4, 5]
    assert len(receiver.notifies()) == 6
    assert len({json.loads(body)["id"] for _, body in receiver.notifies()}) == 1
    notify = platform.notifies(number)[0]
    assert notify["state"] == "received"
    assert [d["status"] for d in notify["deliveries"]] == [500] * 5 + [204]
    assert notify["deliveries"][0]["body"] == '{"code":"FAIL","message":"busy"}'


def test_after_sixteen_failures_the_platform_gives_up(platform, prepaid, receiver):
    receiver.answer = lambda *_: (503, b"")
    number = prepaid()
    platform.pay(number)

    platform.advance(24 * 3600 + 5 * 60)

    notify = platform.notifies(number)[0]
    assert len(notify["deliveries"]) == 16
    assert notify["state"] == "given_up"


def test_a_200_that_says_fail_counts_as_received(platform, prepaid, receiver):
    receiver.answer = lambda *_: (200, b'{"code":"FAIL"}')
    number = prepaid()

    assert platform.pay(number)["notify"]["state"] == "received"


def test_a_redirect_is_not_followed(platform, prepaid, receiver):
    receiver.answer = lambda *_: (302, b"")

    assert platform.pay(prepaid())["notify"]["state"] == "pending"
    assert len(receiver.notifies()) == 1


def test_a_quiet_payment_is_told_to_nobody(platform, prepaid, receiver):
    platform.pay(prepaid(), notify=False)
    platform.advance(86400)

    assert receiver.notifies() == []


def test_certificates_and_the_public_key_sign_in_turns_when_mixed(
    platform, prepaid, receiver, make_sdk, env
):
    platform.settings(signing="mixed")
    number = prepaid()
    platform.pay(number)
    platform.forge(number, "duplicate", 40)

    serials = {headers["Wechatpay-Serial"] for headers, _ in receiver.notifies()}

    by_certificate = make_sdk(
        public_key=None, public_key_id=None, cert_dir=env["KPAY_WECHAT_PAY_CERT_DIR"]
    )
    certificate = by_certificate._core._certificates[0]
    assert serials == {
        env["KPAY_WECHAT_PAY_PUBLIC_KEY_ID"],
        f"{certificate.serial_number:040X}",
    }
    for headers, body in receiver.notifies():
        if headers["Wechatpay-Serial"] == f"{certificate.serial_number:040X}":
            assert by_certificate.callback(headers, body)["event_type"] == "TRANSACTION.SUCCESS"


def test_sixty_four_identical_ones_and_forged_ones_of_each_kind_go_out_at_once(
    platform, prepaid, receiver
):
    number = prepaid()
    platform.pay(number, notify=False)

    reply = platform.forge_mix(
        number, {"duplicate": 64, **dict.fromkeys(FORGED, 16)}, concurrency=64
    )

    assert reply["by_kind"] == {
        "duplicate": {"200": 64},
        **{kind: {"200": 16} for kind in FORGED},
    }
    assert len(reply["statuses"]) == len(receiver.notifies()) == 64 + 16 * len(FORGED)
    duplicates = [body for _, body in receiver.notifies() if body == most_frequent(receiver)]
    assert len(duplicates) >= 64


@pytest.mark.parametrize("kind", ["bad_signature", "signtest", "wrong_apiv3_key"])
def test_what_is_forged_does_not_open(platform, prepaid, receiver, sdk, kind):
    number = prepaid()

    platform.forge(number, kind)

    headers, body = receiver.notifies()[0]
    assert not sdk.callback(headers, body)
    if kind == "signtest":
        assert headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")


def test_a_lie_is_signed_rightly_and_keeps_the_id(platform, prepaid, receiver, sdk, env):
    number = prepaid(total_fen=9900)
    platform.pay(number)

    platform.forge(number, "wrong_amount")
    platform.forge(number, "wrong_mchid")
    platform.forge(number, "wrong_appid")

    right, amount, mchid, appid = [sdk.callback(*message) for message in receiver.notifies()]
    assert amount["resource"]["amount"]["total"] == 9901
    assert mchid["resource"]["mchid"] != env["KPAY_WECHAT_MCHID"]
    assert appid["resource"]["appid"] != env["KPAY_WECHAT_MP_APPID"]
    assert {right["id"]} == {amount["id"], mchid["id"], appid["id"]}


def test_a_replay_is_the_same_bytes_and_a_duplicate_is_signed_anew(platform, prepaid, receiver):
    number = prepaid()
    platform.pay(number)

    platform.forge(number, "replay")
    platform.forge(number, "duplicate")

    first, replay, duplicate = receiver.notifies()
    assert replay[1] == duplicate[1] == first[1]
    assert replay[0]["Wechatpay-Signature"] == first[0]["Wechatpay-Signature"]
    assert duplicate[0]["Wechatpay-Nonce"] != first[0]["Wechatpay-Nonce"]


def most_frequent(receiver):
    bodies = [body for _, body in receiver.notifies()]
    return max(set(bodies), key=bodies.count)
