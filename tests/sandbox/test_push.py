"""Pushes to the message server, read by wechatpy's crypto (`wechat.md` C1-C5, G8)."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
import xmltodict
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException
from wechatpy.utils import check_signature


def crypto(env, account="OA"):
    return WeChatCrypto(
        env[f"KPAY_WECHAT_{account}_TOKEN"],
        env[f"KPAY_WECHAT_{account}_AES_KEY"],
        env[f"KPAY_WECHAT_{account}_APPID"],
    )


def arrived(receiver, place=-1):
    path, _, body = receiver.got[place]
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    return query, body


def opened(env, receiver, account="OA", place=-1):
    query, body = arrived(receiver, place)
    text = crypto(env, account).decrypt_message(
        body, query["msg_signature"], query["timestamp"], query["nonce"]
    )
    return text.decode() if isinstance(text, bytes) else text


def test_a_text_arrives_encrypted_and_wechatpy_reads_it(platform, receiver, env):
    user = platform.user(follows_oa=True)

    platform.push("oa", user["openid"], "text", content="推荐 ]]> <a>")

    fields = xmltodict.parse(opened(env, receiver))["xml"]
    assert fields["FromUserName"] == user["oa_openid"]
    assert fields["MsgType"] == "text"
    assert fields["Content"] == "推荐 ]]> <a>"
    assert int(fields["MsgId"]) > 2**53
    query, _ = arrived(receiver)
    assert query["encrypt_type"] == "aes"
    assert query["openid"] == user["oa_openid"]
    check_signature(
        env["KPAY_WECHAT_OA_TOKEN"], query["signature"], query["timestamp"], query["nonce"]
    )


def test_an_encrypted_reply_comes_back_decrypted(platform, receiver, env):
    def answer(path, _headers, _body):
        query = parse_qs(urlsplit(path).query)
        reply = "<xml><MsgType>text</MsgType><Content>您好</Content></xml>"
        box = crypto(env).encrypt_message(reply, query["nonce"][0], query["timestamp"][0])
        return 200, box.encode()

    receiver.answer = answer

    reply = platform.push("oa", platform.user()["openid"], content="你好")

    assert reply["status"] == 200
    assert reply["encrypted"] is True
    assert reply["message"] == {"MsgType": "text", "Content": "您好"}


def test_a_reply_with_a_wrong_signature_is_called_unreadable(platform, receiver, env):
    other = WeChatCrypto("othertoken", env["KPAY_WECHAT_OA_AES_KEY"], env["KPAY_WECHAT_OA_APPID"])
    box = other.encrypt_message("<xml></xml>", "1", "2").encode()
    receiver.answer = lambda *_: (200, box)

    assert "MsgSignature" in platform.push("oa", platform.user()["openid"])["error"]


def test_the_mini_program_is_pushed_json(platform, receiver, env):
    user = platform.user()

    platform.push(
        "mp", user["openid"], "event", event="user_enter_tempsession", session_from="course:1"
    )

    path = receiver.got[-1][0]
    assert path.startswith("/wechat/mp/callback?")
    query, body = arrived(receiver)
    envelope = json.loads(body)
    as_xml = f"<xml><Encrypt>{envelope['Encrypt']}</Encrypt></xml>"
    text = crypto(env, "MP").decrypt_message(
        as_xml, query["msg_signature"], query["timestamp"], query["nonce"]
    )
    fields = json.loads(text)
    assert fields["Event"] == "user_enter_tempsession"
    assert fields["SessionFrom"] == "course:1"
    assert fields["FromUserName"] == user["openid"]


def test_plain_pushes_and_chosen_ids_are_sent_as_asked(platform, receiver):
    user = platform.user()

    platform.push(
        "oa",
        user["openid"],
        "subscribe",
        encrypt=False,
        event_key="qrscene_12",
        create_time=1700000000,
        fields={"Ticket": "t1"},
    )

    query, body = arrived(receiver)
    fields = xmltodict.parse(body)["xml"]
    assert "encrypt_type" not in query
    assert fields["Event"] == "subscribe"
    assert fields["EventKey"] == "qrscene_12"
    assert fields["CreateTime"] == "1700000000"
    assert fields["Ticket"] == "t1"
    assert "MsgId" not in fields


@pytest.mark.parametrize(
    ("tamper", "error"),
    [
        ("bad_msg_signature", InvalidSignatureException),
        ("wrong_appid", InvalidAppIdException),
        ("wrong_aes_key", ValueError),
    ],
)
def test_a_tampered_push_does_not_open(platform, receiver, env, tamper, error):
    platform.push("oa", platform.user()["openid"], tamper=tamper, retry=False)

    with pytest.raises(error):
        opened(env, receiver)


def test_entities_garbage_and_wrong_plain_signatures_can_be_sent(platform, receiver, env):
    openid = platform.user()["openid"]

    platform.push("oa", openid, tamper="entities", encrypt=False)
    assert b"<!ENTITY" in arrived(receiver)[1]
    platform.push("oa", openid, tamper="garbage")
    assert arrived(receiver)[1].startswith(b"\x00\xff")
    platform.push("oa", openid, tamper="bad_signature")
    query, _ = arrived(receiver)
    with pytest.raises(InvalidSignatureException):
        check_signature(
            env["KPAY_WECHAT_OA_TOKEN"], query["signature"], query["timestamp"], query["nonce"]
        )


def test_an_unanswered_push_is_delivered_three_times_in_all(platform, receiver, env):
    receiver.answer = lambda *_: (500, b"")

    platform.push("oa", platform.user()["openid"], content="你好")
    platform.advance(5)
    platform.advance(60)

    assert len(receiver.got) == 3
    texts = {opened(env, receiver, place=place) for place in range(3)}
    assert len(texts) == 1


def test_faults_strike_pushes_too(platform, receiver):
    openid = platform.user()["openid"]

    platform.fault("duplicate", on="push", count=1)
    platform.push("oa", openid, content="一")
    assert len(receiver.got) == 2
    platform.fault("plain_downgrade", on="notify", event_type="text", count=1)
    platform.push("oa", openid, content="二")
    forged, right = arrived(receiver, -2), arrived(receiver, -1)
    assert "encrypt_type" not in forged[0]
    assert right[0]["encrypt_type"] == "aes"


def test_the_console_verifies_an_address_by_its_echo(platform, receiver):
    receiver.answer = lambda path, *_: (
        200,
        parse_qs(urlsplit(path).query)["echostr"][0].encode(),
    )
    assert platform.verify("oa")["verified"] is True

    receiver.answer = lambda *_: (200, b"something else")
    assert platform.verify("mp")["verified"] is False
