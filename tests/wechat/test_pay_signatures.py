"""WeChat Pay's signatures and sealed notices against an independent implementation."""

import json
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from kernel import clock
from kernel.errors import BodyTooLarge, InvalidInput
from tests import ports
from tests.wechat import independent
from wechat.errors import WeChatForged
from wechat.pay import PayClient, PayConfig, cut
from wechat.pay_signatures import PayKeys

APIV3_KEY = "0123456789abcdef0123456789abcdef"
KEY_ID = "PUB_KEY_ID_0112345678"
SERIAL = 0x0ABCDEF00000000000000000000000000000AB
MERCHANT = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PLATFORM = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RESOURCE = {"out_trade_no": "no1", "trade_state": "SUCCESS", "amount": {"total": 9900}}


def certificate(start, days):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(PLATFORM.public_key()).serial_number(SERIAL)
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=days))
    return builder.sign(PLATFORM, hashes.SHA256())


def client(**changes):
    now = datetime.now(UTC)
    keys = {
        "merchant": MERCHANT,
        "apiv3_key": APIV3_KEY,
        "public_key_id": KEY_ID,
        "public_key": PLATFORM.public_key(),
        "certificates": {format(SERIAL, "X"): certificate(now - timedelta(days=1), 2)},
    }
    # Port 9 (discard) answers nobody: any network call would fail the test.
    return PayClient(
        PayConfig(
            base_url="http://127.0.0.1:9",
            mchid="1900000001",
            appid="wx1",
            serial="AB12",
            keys=PayKeys(**{**keys, **changes}),
            timeout=(0.2, 0.2),
        )
    )


def sealed(resource=None, associated="transaction", key=APIV3_KEY):
    nonce = secrets.token_hex(6)
    plain = json.dumps(resource or RESOURCE).encode()
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": independent.seal_resource(plain, key, nonce, associated),
        "nonce": nonce,
        "associated_data": associated,
        "original_type": "transaction",
    }


def notice(**changes):
    data = {
        "id": "EV-1",
        "create_time": "2026-11-24T20:00:00+08:00",
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "resource": sealed(),
    }
    return json.dumps({**data, **changes}, ensure_ascii=False).encode()


def signed(body, serial=KEY_ID, at=None, key=PLATFORM, **changes):
    stamp, nonce = str(int(at or clock.timestamp())), secrets.token_hex(8)
    numbers = key.private_numbers()
    message = f"{stamp}\n{nonce}\n".encode() + body + b"\n"
    return {
        "HTTP_WECHATPAY_TIMESTAMP": stamp,
        "HTTP_WECHATPAY_NONCE": nonce,
        "HTTP_WECHATPAY_SERIAL": serial,
        "HTTP_WECHATPAY_SIGNATURE": independent.rsa_sign(
            message, numbers.public_numbers.n, numbers.d
        ),
        "HTTP_WECHATPAY_SIGNATURE_TYPE": "WECHATPAY2-SHA256-RSA2048",
        **changes,
    }


@pytest.mark.parametrize("serial", [KEY_ID, format(SERIAL, "X"), format(SERIAL, "040x")])
@pytest.mark.parametrize("associated", ["transaction", ""])
def test_a_notice_signed_by_a_known_key_opens(serial, associated):
    body = notice(resource=sealed(associated=associated))

    opened = client().parse_notify(signed(body, serial), body)

    assert (opened.id, opened.event_type) == ("EV-1", "TRANSACTION.SUCCESS")
    assert opened.resource == RESOURCE
    assert opened.created_at == datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert opened.raw_body == body


def test_a_signature_is_written_in_one_way_only():
    body = notice()
    headers = signed(body)
    right = headers["HTTP_WECHATPAY_SIGNATURE"]

    for other in (right * 2, right + "=", right.rstrip("="), f"{right} ", f"\n{right}"):
        with pytest.raises(WeChatForged):
            client().parse_notify({**headers, "HTTP_WECHATPAY_SIGNATURE": other}, body)


def test_a_notice_names_its_signature_type():
    body = notice()
    headers = signed(body)
    del headers["HTTP_WECHATPAY_SIGNATURE_TYPE"]

    with pytest.raises(WeChatForged):
        client().parse_notify(headers, body)


@pytest.mark.parametrize(
    "change",
    [
        {"HTTP_WECHATPAY_SERIAL": "PUB_KEY_ID_0199999999"},
        {"HTTP_WECHATPAY_SERIAL": "5" * 40},
        {"HTTP_WECHATPAY_SERIAL": ""},
        {"HTTP_WECHATPAY_SERIAL": "../../x"},
        {"HTTP_WECHATPAY_SIGNATURE": "WECHATPAY/SIGNTEST/" + "A" * 300},
        {"HTTP_WECHATPAY_SIGNATURE": ""},
        {"HTTP_WECHATPAY_SIGNATURE": "签名"},
        {"HTTP_WECHATPAY_NONCE": "other"},
        {"HTTP_WECHATPAY_NONCE": ""},
        {"HTTP_WECHATPAY_TIMESTAMP": ""},
        {"HTTP_WECHATPAY_TIMESTAMP": "-5"},
        {"HTTP_WECHATPAY_TIMESTAMP": "9" * 30},
        {"HTTP_WECHATPAY_SIGNATURE_TYPE": "WECHATPAY2-SM2-WITH-SM3"},
    ],
)
def test_a_notice_with_any_wrong_header_is_forged(change):
    body = notice()

    with pytest.raises(WeChatForged):
        client().parse_notify(signed(body, **change), body)


def test_no_headers_at_all_is_forged():
    with pytest.raises(WeChatForged):
        client().parse_notify({}, notice())


@pytest.mark.parametrize(("off", "taken"), [(-290, True), (-300, False), (299, True), (320, False)])
def test_the_window_is_five_minutes_on_either_side(off, taken):
    body = notice()
    headers = signed(body, at=clock.timestamp() + off)

    if taken:
        assert client().parse_notify(headers, body).id == "EV-1"
    else:
        with pytest.raises(WeChatForged):
            client().parse_notify(headers, body)


def test_freshness_follows_the_product_clock():
    body = notice()
    headers = signed(body)
    ports.CLOCK_FILE.write_text("600")
    try:
        with pytest.raises(WeChatForged):
            client().parse_notify(headers, body)
    finally:
        ports.CLOCK_FILE.unlink()


def test_one_changed_byte_is_forged():
    body = notice()

    with pytest.raises(WeChatForged):
        client().parse_notify(signed(body), body.replace(b"EV-1", b"EV-2"))


def test_a_notice_of_another_key_is_forged():
    body = notice()

    with pytest.raises(WeChatForged):
        client().parse_notify(signed(body, key=MERCHANT), body)


@pytest.mark.parametrize(
    "resource",
    [
        sealed(key="f" * 32),
        {**sealed(), "associated_data": "changed"},
        {**sealed(), "ciphertext": "AAAA"},
        {**sealed(), "ciphertext": "not base64 !!"},
        {**sealed(), "nonce": ""},
        {**sealed(), "algorithm": "NONE"},
    ],
)
def test_a_resource_that_our_key_does_not_open_is_forged(resource):
    body = notice(resource=resource)

    with pytest.raises(WeChatForged):
        client().parse_notify(signed(body), body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        notice(id=""),
        notice(id=5),
        notice(id="x" * 65),
        notice(event_type=None),
        notice(resource="x"),
        notice(create_time="yesterday"),
        notice(resource={**sealed(), "nonce": 5}),
    ],
)
def test_a_signed_body_that_is_no_notice_is_bad_input(body):
    with pytest.raises((InvalidInput, WeChatForged)):
        client().parse_notify(signed(body), body)


def test_a_huge_notice_is_refused_before_anything_else():
    with pytest.raises(BodyTooLarge):
        client().parse_notify({}, b" " * (64 * 1024 + 1))


def test_an_expired_certificate_signs_nothing():
    old = certificate(datetime.now(UTC) - timedelta(days=9), 2)
    body = notice()

    with pytest.raises(WeChatForged):
        client(certificates={format(SERIAL, "X"): old}).parse_notify(
            signed(body, format(SERIAL, "X")), body
        )


@given(st.binary(max_size=100), st.dictionaries(st.sampled_from(sorted(signed(b""))), st.text()))
def test_no_bytes_from_outside_make_anything_but_a_refusal(body, headers):
    with pytest.raises(WeChatForged):
        client().parse_notify(headers, body)


def test_the_client_parameters_carry_the_merchants_signature():
    params = client().jsapi_params("wx201410272009395522657a690389285100")

    package = "prepay_id=wx201410272009395522657a690389285100"
    assert {k: params[k] for k in ("package", "signType")} == {
        "package": package,
        "signType": "RSA",
    }
    assert set(params) == {"timeStamp", "nonceStr", "package", "signType", "paySign"}
    message = f"wx1\n{params['timeStamp']}\n{params['nonceStr']}\n{package}\n".encode()
    numbers = MERCHANT.public_key().public_numbers()
    assert independent.rsa_verifies(message, params["paySign"], numbers.n, numbers.e)


@pytest.mark.parametrize(
    ("text", "size", "kept"), [("课程", 127, "课程"), ("课程", 5, "课"), ("abc", 2, "ab")]
)
def test_texts_are_cut_between_characters(text, size, kept):
    assert cut(text, size) == kept
