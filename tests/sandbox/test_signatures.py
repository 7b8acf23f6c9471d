"""Every request is verified, every answer signed (`wechat.md` D1, D2)."""

import base64
import json
import time
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

TARGET = "/v3/refund/domestic/refunds/R404"


def test_a_right_signature_passes_and_the_answer_is_signed(signed, env):
    reply = signed("GET", TARGET)

    assert (reply.status_code, reply.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")
    assert reply.headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"
    assert reply.headers["Wechatpay-Serial"] == env["KPAY_WECHAT_PAY_PUBLIC_KEY_ID"]
    assert answer_verifies(reply, env)


@pytest.mark.parametrize(
    "changed",
    [
        {"skew": -301},
        {"skew": 301},
        {"serial": "0" * 40},
        {"mchid": "1900000000"},
        {"scheme": "WECHATPAY2-SM2-WITH-SM3"},
        {"sent_body": b'{"mchid": "1"}'},
        {"Authorization": ""},
        {"Authorization": "WECHATPAY2-SHA256-RSA2048 mchid="},
    ],
)
def test_a_wrong_clock_serial_merchant_or_body_is_a_sign_error(signed, changed):
    reply = signed("POST", TARGET, b'{"mchid":"1"}', **changed)

    assert (reply.status_code, reply.json()["code"]) == (401, "SIGN_ERROR")


def test_a_clock_within_five_minutes_is_good_enough(signed):
    assert signed("GET", TARGET, skew=-290).status_code == 404
    assert signed("GET", TARGET, skew=290).status_code == 404


def test_a_signed_body_that_is_no_json_is_a_parameter_error(signed):
    for body in (b"", b"[]", b'{"a":', b"\x00\xff", b"[" * 5000):
        reply = signed("POST", "/v3/refund/domestic/refunds", body)

        assert (reply.status_code, reply.json()["code"]) == (400, "PARAM_ERROR")


def test_the_certificate_mode_of_the_sdk_works_with_downloaded_certificates(
    platform, make_sdk, env, running
):
    platform.settings(signing="certificate")
    sdk = make_sdk(public_key=None, public_key_id=None, cert_dir=env["KPAY_WECHAT_PAY_CERT_DIR"])
    known = sdk._core._certificates[:]
    sdk._core._cert_dir = None

    sdk._core._update_certificates()

    assert [c.serial_number for c in sdk._core._certificates] == [known[0].serial_number]
    assert sdk.query(out_trade_no="T999999")[0] == 404


@pytest.mark.parametrize("kind", ["bad_signature", "signtest", "unknown_serial", "stale_timestamp"])
def test_a_fault_spoils_the_signature_of_an_answer(platform, signed, env, kind):
    platform.fault(kind, on="api", path="/v3/", count=1)

    spoiled, right = signed("GET", TARGET), signed("GET", TARGET)

    fresh = abs(time.time() - int(spoiled.headers["Wechatpay-Timestamp"])) < 300
    known = spoiled.headers["Wechatpay-Serial"] == env["KPAY_WECHAT_PAY_PUBLIC_KEY_ID"]
    assert not (fresh and known and answer_verifies(spoiled, env))
    assert answer_verifies(right, env)


def answer_verifies(reply, env):
    key = serialization.load_pem_public_key(
        Path(env["KPAY_WECHAT_PAY_PUBLIC_KEY_FILE"]).read_bytes()
    )
    message = b"\n".join(
        [
            reply.headers["Wechatpay-Timestamp"].encode(),
            reply.headers["Wechatpay-Nonce"].encode(),
            reply.content,
            b"",
        ]
    )
    try:
        signature = base64.b64decode(reply.headers["Wechatpay-Signature"])
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


ODD = [None, True, 0, -1, 1.5, 10**400, "", "\ud800", "课" * 3000, [], [[]], {}, {"a": [1]}]
WHOLE = {
    "prepay": (
        "/v3/pay/transactions/h5",
        {
            "out_trade_no": "T000001",
            "description": "课程",
            "attach": "x",
            "notify_url": "http://127.0.0.1:1/n",
            "amount": {"total": 100},
            "time_expire": "2099-01-01T00:00:00+08:00",
            "scene_info": {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Wap"}},
            "payer": {"openid": "x"},
        },
    ),
    "refund": (
        "/v3/refund/domestic/refunds",
        {
            "out_refund_no": "R1",
            "out_trade_no": "T000001",
            "transaction_id": "4200",
            "reason": "x",
            "funds_account": "AVAILABLE",
            "notify_url": "http://127.0.0.1:1/n",
            "amount": {"refund": 1, "total": 100, "currency": "CNY"},
        },
    ),
}


@pytest.mark.parametrize("call", sorted(WHOLE))
def test_odd_values_in_any_field_are_answered_with_an_error_or_taken(signed, env, call):
    target, whole = WHOLE[call]
    whole = whole | {"appid": env["KPAY_WECHAT_MP_APPID"], "mchid": env["KPAY_WECHAT_MCHID"]}

    for name in whole:
        for odd in ODD:
            reply = signed("POST", target, json.dumps(whole | {name: odd}).encode())

            assert reply.status_code in {200, 400, 403, 404}, (name, odd, reply.text)
            assert reply.status_code == 200 or reply.json()["code"]


def test_a_huge_integer_is_a_parameter_error(signed):
    body = b'{"amount":{"total":1' + b"0" * 5000 + b"}}"

    reply = signed("POST", "/v3/refund/domestic/refunds", body)

    assert (reply.status_code, reply.json()["code"]) == (400, "PARAM_ERROR")
