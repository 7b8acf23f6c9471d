"""Known answers: our cryptography against examples that the platform published, and others' code.

Where nothing is published (a resource sealed with an APIv3 key of 32 characters, a secret sealed
for the platform) an independent library stands in, in both directions.
"""

import json
import re
import secrets
import time
from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from wechatpayv3.utils import rsa_decrypt, rsa_encrypt, rsa_sign, rsa_verify
from wechatpy.crypto import WeChatCrypto

from tests import ports
from tests.wechat import independent
from tests.wechat import published as p
from wechat import pay_signatures
from wechat.errors import WeChatForged
from wechat.pay_signatures import PayKeys
from wechat.pay_wire import PayConfig, authorization, jsapi_signed
from wechat.push import echo, sealed_as, verify_and_parse
from wechat.xpay import pay_sig, user_signature

MERCHANT = load_pem_private_key(p.MERCHANT_KEY, password=None)
PLATFORM = load_pem_public_key(p.PLATFORM_KEY)
KEY_ID = "PUB_KEY_ID_0119000072912024"  # the page names none


@pytest.fixture
def at():
    """`at(seconds)` sets the clock to a published moment."""

    def put(seconds):
        ports.CLOCK_FILE.write_text(str(int(seconds) - int(time.time())), encoding="ascii")

    yield put
    ports.CLOCK_FILE.unlink(missing_ok=True)


@pytest.fixture
def accounts(settings):
    """The credentials of the published pushes."""
    wechat = replace(
        settings.KPAY.wechat,
        mp_appid=p.PUSH_APPID, mp_token=p.PUSH_TOKEN, mp_aes_key=p.PUSH_AES_KEY,
        oa_appid=p.OA_APPID, oa_token=p.OA_TOKEN, oa_aes_key=p.OA_AES_KEY,
    )  # fmt: skip
    settings.KPAY = replace(settings.KPAY, wechat=wechat)
    return settings


def config(**keys):
    return PayConfig(
        base_url="http://127.0.0.1:9",
        mchid=p.MCHID,
        appid=p.PAY_APPID,
        serial=p.MERCHANT_SERIAL,
        keys=PayKeys(**{"merchant": MERCHANT, "apiv3_key": "k" * 32, **keys}),
        timeout=(0.2, 0.2),
    )


@pytest.mark.parametrize(("method", "path", "body", "signature"), p.REQUESTS)
def test_a_request_is_signed_as_in_the_documentation(method, path, body, signature):
    header = authorization(config(), method, path, body, stamp=p.STAMP, nonce=p.NONCE)

    scheme, _, rest = header.partition(" ")
    assert scheme == "WECHATPAY2-SHA256-RSA2048"
    assert dict(re.findall(r'(\w+)="([^"]*)"', rest)) == {
        "mchid": p.MCHID,
        "nonce_str": p.NONCE,
        "timestamp": p.STAMP,
        "serial_no": p.MERCHANT_SERIAL,
        "signature": signature,
    }


def test_a_payment_is_signed_for_the_client_as_in_the_documentation():
    assert jsapi_signed(config(), p.PREPAY_ID, stamp=p.STAMP, nonce=p.NONCE) == {
        "timeStamp": p.STAMP,
        "nonceStr": p.NONCE,
        "package": f"prepay_id={p.PREPAY_ID}",
        "signType": "RSA",
        "paySign": p.PAY_SIGN,
    }


def answer_headers(**changes):
    return {
        "Wechatpay-Timestamp": p.ANSWER_STAMP,
        "Wechatpay-Nonce": p.ANSWER_NONCE,
        "Wechatpay-Signature": p.ANSWER_SIGNATURE,
        "Wechatpay-Serial": KEY_ID,
        **changes,
    }


def test_an_answer_is_believed_as_in_the_documentation(at):
    at(p.ANSWER_STAMP)
    keys = config(public_key_id=KEY_ID, public_key=PLATFORM).keys

    pay_signatures.check(keys, answer_headers(), p.ANSWER)

    for headers, body in (
        (answer_headers(), p.ANSWER.replace(b"JyC91EIz1", b"JyC91EIz2")),
        (answer_headers(**{"Wechatpay-Nonce": "d824f2e086d3c1df967785d13fcd22ee"}), p.ANSWER),
        (answer_headers(**{"Wechatpay-Timestamp": "1722850422"}), p.ANSWER),
    ):
        with pytest.raises(WeChatForged):
            pay_signatures.check(keys, headers, body)


def test_a_notice_opens_as_in_the_official_sdk(at):
    at(p.NOTICE_HEADERS["Wechatpay-Timestamp"])
    certificate = x509.load_pem_x509_certificate(p.NOTICE_CERTIFICATE)
    serial = format(certificate.serial_number, "X")
    keys = config(apiv3_key=p.NOTICE_KEY, certificates={serial: certificate}).keys

    notice = pay_signatures.open_notify(keys, p.NOTICE_HEADERS, p.NOTICE)

    assert serial == p.NOTICE_HEADERS["Wechatpay-Serial"]
    assert notice.id == "3119dfba-e649-5eec-ab1e-3412bc4d2e17"
    assert notice.event_type == "PAYSCORE.USER_OPEN_SERVICE"
    assert notice.resource == p.NOTICE_RESOURCE


def test_the_same_notice_is_stale_five_minutes_later(at):
    at(int(p.NOTICE_HEADERS["Wechatpay-Timestamp"]) + 300)
    certificate = x509.load_pem_x509_certificate(p.NOTICE_CERTIFICATE)
    keys = config(apiv3_key=p.NOTICE_KEY, certificates={"D7CE59D1F522D701": certificate}).keys

    with pytest.raises(WeChatForged):
        pay_signatures.open_notify(keys, p.NOTICE_HEADERS, p.NOTICE)


def test_signatures_are_those_of_other_code_in_both_directions():
    """No example with an answer signed by a certificate's key and its private part is published."""
    header = authorization(config(), "POST", "/v3/x?a=1", '{"名":1}', stamp="1", nonce="n")
    ours = b64decode(re.search(r'signature="([^"]*)"', header)[1])
    MERCHANT.public_key().verify(
        ours, 'POST\n/v3/x?a=1\n1\nn\n{"名":1}\n'.encode(), PKCS1v15(), SHA256()
    )
    stamp, nonce, body = str(int(time.time())), secrets.token_hex(8), '{"名":1}'
    theirs = rsa_sign(MERCHANT, f"{stamp}\n{nonce}\n{body}\n")
    keys = config(public_key_id=KEY_ID, public_key=MERCHANT.public_key()).keys

    pay_signatures.check(
        keys,
        answer_headers(
            **{
                "Wechatpay-Timestamp": stamp,
                "Wechatpay-Nonce": nonce,
                "Wechatpay-Signature": theirs,
            }
        ),
        body.encode(),
    )
    assert rsa_verify(stamp, nonce, body, theirs, MERCHANT.public_key())


def test_a_resource_sealed_by_other_code_opens_and_a_changed_one_does_not():
    """An APIv3 key has 32 characters; the published example has 16 (see `published`)."""
    key, nonce = secrets.token_hex(16), secrets.token_hex(6)
    plain = json.dumps({"out_trade_no": "no-1", "名": "课程"}).encode()
    box = AESGCM(key.encode()).encrypt(nonce.encode(), plain, b"transaction")
    assert b64encode(box).decode() == independent.seal_resource(plain, key, nonce, "transaction")
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": b64encode(box).decode(),
        "nonce": nonce,
        "associated_data": "transaction",
    }

    assert pay_signatures._unseal(key, resource) == json.loads(plain)
    for change in (
        {"associated_data": ""},
        {"nonce": "0" * 12},
        {"ciphertext": b64encode(box[:-1] + bytes([box[-1] ^ 1])).decode()},
    ):
        with pytest.raises(WeChatForged):
            pay_signatures._unseal(key, {**resource, **change})


def test_a_secret_is_sealed_for_the_platform_alone():
    """RSA-OAEP with SHA-1 (D1): no example is published, for the padding is random."""
    keys = config(public_key_id=KEY_ID, public_key=MERCHANT.public_key()).keys
    serial, key = keys.sealing()
    padding = OAEP(MGF1(SHA1()), SHA1(), None)  # noqa: S303

    box = rsa_encrypt("6222021234567890123", key)

    assert serial == KEY_ID
    assert MERCHANT.decrypt(b64decode(box), padding).decode() == "6222021234567890123"
    back = b64encode(key.encrypt("王小明".encode(), padding)).decode()
    assert rsa_decrypt(back, MERCHANT) == "王小明"


@pytest.mark.parametrize(("app_key", "uri", "body", "sig", "session_key", "signature"), p.XPAY)
def test_virtual_payment_is_signed_as_in_the_documentation(
    app_key, uri, body, sig, session_key, signature
):
    assert pay_sig(app_key, uri, body) == sig
    assert user_signature(session_key, body) == signature


@pytest.mark.usefixtures("accounts")
def test_the_address_check_is_the_documentations():
    assert echo("mp", p.ECHO) == "4375120948345356249"


def test_a_push_in_clear_is_read_as_in_the_documentation(at, accounts):
    at(p.PLAIN_QUERY["timestamp"])
    wechat = replace(accounts.KPAY.wechat, mp_aes_key="")
    accounts.KPAY = replace(accounts.KPAY, wechat=wechat)

    push = verify_and_parse("mp", p.PLAIN_QUERY, p.PLAIN_BODY)

    assert (push.event, push.fields["debug_str"], push.form) == (
        "debug_demo",
        "hello world",
        "json",
    )
    with pytest.raises(WeChatForged):
        verify_and_parse("mp", {**p.PLAIN_QUERY, "nonce": "486452657"}, p.PLAIN_BODY)


def sealed_push():
    body = {"ToUserName": "gh_97417a04a28d", "Encrypt": p.SEALED_BOX}
    return verify_and_parse("mp", p.SEALED_QUERY, json.dumps(body).encode())


@pytest.mark.usefixtures("accounts")
def test_a_sealed_push_is_opened_as_in_the_documentation(at):
    at(p.SEALED_QUERY["timestamp"])

    push = sealed_push()

    assert push.fields == p.SEALED_FIELDS
    assert push.encrypted
    assert push.openid == "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"


@pytest.mark.usefixtures("accounts")
def test_a_reply_is_sealed_as_in_the_documentation(at, monkeypatch):
    at(p.SEALED_QUERY["timestamp"])
    push = sealed_push()
    # The documentation's random bytes, in the library that draws them.
    monkeypatch.setattr("wechatpy.crypto.base.random_string", lambda _size: p.REPLY_RANDOM)

    reply = json.loads(sealed_as(push, p.REPLY))

    assert reply["Encrypt"] == p.REPLY_BOX
    assert reply["MsgSignature"] == independent.sha1(
        p.PUSH_TOKEN, str(reply["TimeStamp"]), reply["Nonce"], p.REPLY_BOX
    )
    right = independent.sha1(p.PUSH_TOKEN, p.REPLY_STAMP, p.REPLY_NONCE, p.REPLY_BOX)
    assert right == p.REPLY_SIGNATURE


@pytest.mark.usefixtures("accounts")
def test_a_message_to_the_official_account_is_opened_as_by_the_sample_code(at):
    at(p.OA_QUERY["timestamp"])
    body = f"<xml><ToUserName>gh_10f6c3c3ac5a</ToUserName><Encrypt>{p.OA_BOX}</Encrypt></xml>"

    push = verify_and_parse("oa", p.OA_QUERY, body.encode())

    assert (push.msg_type, push.content) == ("text", "abcdteT")
    assert (push.openid, push.to) == ("oyORnuP8q7ou2gfYjqLzSIWZf0rs", "gh_10f6c3c3ac5a")
    assert (push.msg_id, push.create_time, push.form) == (6054768590064713728, 1409735668, "xml")


@pytest.mark.usefixtures("accounts")
def test_envelopes_are_those_of_other_code_in_both_directions():
    theirs = WeChatCrypto(p.PUSH_TOKEN, p.PUSH_AES_KEY, p.PUSH_APPID)
    stamp, nonce = str(int(time.time())), secrets.token_hex(5)
    text = (
        "<xml><FromUserName>oA</FromUserName><CreateTime>1</CreateTime>"
        "<MsgType>event</MsgType></xml>"
    )
    envelope = theirs.encrypt_message(text, nonce, stamp)
    signature = envelope.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    query = {"timestamp": stamp, "nonce": nonce, "msg_signature": signature}

    push = verify_and_parse("mp", query, envelope.encode())
    reply = sealed_as(push, "<xml><a>课程</a></xml>").decode()

    parts = dict(re.findall(r"<(\w+)>(?:<!\[CDATA\[)?(.*?)(?:\]\]>)?</\1>", reply))
    opened = theirs.decrypt_message(
        reply, parts["MsgSignature"], parts["TimeStamp"], parts["Nonce"]
    )
    assert push.openid == "oA"
    assert opened == "<xml><a>课程</a></xml>"
    box = independent.seal_push(text, p.PUSH_AES_KEY, p.PUSH_APPID)
    assert independent.open_push(parts["Encrypt"], p.PUSH_AES_KEY) == (opened, p.PUSH_APPID)
    assert (
        theirs.decrypt_message(
            {"Encrypt": box}, independent.sha1(p.PUSH_TOKEN, "1", "n", box), "1", "n"
        )
        == text
    )
