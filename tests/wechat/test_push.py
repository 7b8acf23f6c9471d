"""Pushes: known answers, an independent envelope, forgeries, odd bodies."""

import secrets
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import clock
from kernel.errors import BodyTooLarge, InvalidInput
from tests.wechat import independent
from wechat.errors import WeChatForged, WeChatNotConfigured
from wechat.push import Article, echo, reply_news, reply_text, verify_and_parse

TOKEN = "QDG6eK"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
APPID = "wx5823bf96d3bd56c7"
TEXT = (
    "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oABC]]></FromUserName>"
    "<CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType>"
    "<Content><![CDATA[推荐 <!DOCTYPE x> &amp;]]></Content><MsgId>1234567890123456</MsgId></xml>"
)
EVENT = (
    "<xml><ToUserName>gh_1</ToUserName><FromUserName>oABC</FromUserName>"
    "<CreateTime>1700000000</CreateTime><MsgType>event</MsgType><Event>{event}</Event>"
    "<EventKey>{key}</EventKey></xml>"
)


@pytest.fixture(autouse=True)
def account(settings):
    """The credentials of the platform's published example, for both accounts."""
    wechat = replace(
        settings.KPAY.wechat,
        oa_appid=APPID,
        oa_token=TOKEN,
        oa_aes_key=AES_KEY,
        mp_appid=APPID,
        mp_token=TOKEN,
        mp_aes_key=AES_KEY,
    )
    settings.KPAY = replace(settings.KPAY, wechat=wechat)
    return settings


@pytest.fixture
def plain_mode(account):
    wechat = replace(account.KPAY.wechat, oa_aes_key="")
    account.KPAY = replace(account.KPAY, wechat=wechat)


def query(box="", at=None, **changes):
    stamp, nonce = str(int(at or clock.timestamp())), secrets.token_hex(5)
    values = {
        "timestamp": stamp,
        "nonce": nonce,
        "signature": independent.sha1(TOKEN, stamp, nonce),
    }
    if box:
        values["encrypt_type"] = "aes"
        values["msg_signature"] = independent.sha1(TOKEN, stamp, nonce, box)
    return {**values, **changes}


def sealed(message, appid=APPID, key=AES_KEY):
    box = independent.seal_push(message, key, appid)
    body = f"<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{box}]]></Encrypt></xml>"
    return body.encode(), query(box)


def test_the_platforms_published_example_opens():
    # From the platform's own sample code (WXBizMsgCrypt, verifyURL).
    box = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
    assert independent.sha1(TOKEN, "1409659589", "263014780", box) == (
        "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
    )
    assert independent.open_push(box, AES_KEY) == ("1616140317555161061", APPID)
    # Sealed by the platform's own key and opened by ours: not a message, so it is refused as one.
    with pytest.raises(InvalidInput):
        verify_and_parse("oa", query(box), f"<xml><Encrypt>{box}</Encrypt></xml>".encode())


def test_an_encrypted_message_is_read():
    body, asked = sealed(TEXT)

    push = verify_and_parse("oa", asked, body)

    assert (push.msg_type, push.openid, push.to) == ("text", "oABC", "gh_1")
    assert push.content == "推荐 <!DOCTYPE x> &amp;"
    assert (push.msg_id, push.create_time) == (1234567890123456, 1700000000)
    assert push.encrypted
    assert push.dedupe_key == "msg:1234567890123456"


def test_a_json_push_is_read():
    inner = (
        '{"ToUserName":"gh_1","FromUserName":"oABC","CreateTime":1700000000,"MsgType":"event",'
        '"Event":"user_enter_tempsession","SessionFrom":"课程"}'
    )
    box = independent.seal_push(inner, AES_KEY, APPID)

    push = verify_and_parse("mp", query(box), f'{{"ToUserName":"gh_1","Encrypt":"{box}"}}'.encode())

    assert (push.event, push.fields["SessionFrom"]) == ("user_enter_tempsession", "课程")
    assert push.dedupe_key.startswith("event:")


def test_events_of_one_second_are_told_apart_and_a_repeat_is_not():
    keys = []
    for event, key in [("SCAN", "a"), ("SCAN", "b"), ("CLICK", "a"), ("SCAN", "a")]:
        body, asked = sealed(EVENT.format(event=event, key=key))
        keys.append(verify_and_parse("oa", asked, body).dedupe_key)

    assert len(set(keys)) == 3
    assert keys[0] == keys[3]


@pytest.mark.parametrize(
    "change",
    [
        {"msg_signature": "0" * 40},
        {"msg_signature": ""},
        {"msg_signature": "签名"},
        {"timestamp": "1"},
        {"nonce": "other"},
    ],
)
def test_an_encrypted_push_with_a_wrong_signature_is_forged(change):
    body, asked = sealed(TEXT)

    with pytest.raises(WeChatForged):
        verify_and_parse("oa", {**asked, **change}, body)


@pytest.mark.parametrize("message_for", ["appid", "key"])
def test_an_envelope_for_somebody_else_is_forged(message_for):
    other = "A" * 42 + "E"
    body, asked = (
        sealed(TEXT, "wx0000000000000000") if message_for == "appid" else (sealed(TEXT, key=other))
    )

    with pytest.raises(WeChatForged):
        verify_and_parse("oa", asked, body)


def test_a_plain_body_is_refused_while_a_key_is_set():
    with pytest.raises(WeChatForged):
        verify_and_parse("oa", query(), TEXT.encode())


def test_a_plain_body_under_an_encrypted_address_is_refused():
    box = independent.seal_push(TEXT, AES_KEY, APPID)

    with pytest.raises(WeChatForged):
        verify_and_parse("oa", query(box), TEXT.encode())


@pytest.mark.usefixtures("plain_mode")
def test_without_a_key_plain_bodies_are_read_and_encrypted_ones_refused():
    assert verify_and_parse("oa", query(), TEXT.encode()).openid == "oABC"
    body, asked = sealed(TEXT)
    with pytest.raises(WeChatForged):
        verify_and_parse("oa", asked, body)


@pytest.mark.usefixtures("plain_mode")
@pytest.mark.parametrize(("off", "taken"), [(-299, True), (-301, False), (301, False)])
def test_a_push_is_good_for_five_minutes(off, taken):
    asked = query(at=clock.timestamp() + off)

    if taken:
        assert verify_and_parse("oa", asked, TEXT.encode()).openid == "oABC"
    else:
        with pytest.raises(WeChatForged):
            verify_and_parse("oa", asked, TEXT.encode())


@pytest.mark.parametrize(
    "inner",
    [
        '<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><Content>&e;</Content></xml>',
        '<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY a "b">]><xml><Content>&a;</Content></xml>',
        "<xml><Content>&unknown;</Content></xml>",
        "<xml><a></xml>",
        "<other/>",
        "<xml>text</xml>",
        "",
        "[1]",
        '{"FromUserName":',
        "<xml>" + "<a>" * 40 + "</a>" * 40 + "</xml>",
        TEXT.replace("1234567890123456", "9" * 19),
        TEXT.replace("1234567890123456", "-1"),
        TEXT.replace("oABC", "o" * 129),
        TEXT.replace("1700000000", "9" * 18),
        TEXT.replace("<CreateTime>1700000000</CreateTime>", ""),
        TEXT.replace("<MsgType><![CDATA[text]]></MsgType>", "<MsgType><a>1</a></MsgType>"),
        '{"FromUserName":"o","MsgType":"text","CreateTime":1e400}',
        '{"FromUserName":"o","MsgType":"te\\u0000xt","CreateTime":1}',
        '{"FromUserName":"o","MsgType":true,"CreateTime":1}',
    ],
)
def test_a_signed_body_that_is_no_message_is_bad_input(inner):
    body, asked = sealed(inner)

    with pytest.raises(InvalidInput):
        verify_and_parse("oa", asked, body)


def test_a_body_over_64_kb_is_not_even_looked_at():
    with pytest.raises(BodyTooLarge):
        verify_and_parse("oa", {}, b"<" * (64 * 1024 + 1))


@given(st.binary(max_size=200), st.dictionaries(st.text(max_size=12), st.text(max_size=12)))
def test_no_bytes_from_outside_make_anything_but_a_refusal(body, asked):
    with pytest.raises((WeChatForged, InvalidInput)):
        verify_and_parse("oa", {"timestamp": str(int(clock.timestamp())), **asked}, body)


def test_an_encrypted_reply_opens_with_the_platforms_own_means():
    body, asked = sealed(TEXT)
    push = verify_and_parse("oa", asked, body)

    reply = reply_text(push, "好 ]]><x>").decode()

    def part(name):
        inner = reply.split(f"<{name}>")[1].split(f"</{name}>")[0]
        return inner.removeprefix("<![CDATA[").removesuffix("]]>")

    box = part("Encrypt")
    assert part("MsgSignature") == independent.sha1(TOKEN, part("TimeStamp"), part("Nonce"), box)
    xml, owner = independent.open_push(box, AES_KEY)
    assert owner == APPID
    assert "<ToUserName><![CDATA[oABC]]></ToUserName>" in xml
    assert "<FromUserName><![CDATA[gh_1]]></FromUserName>" in xml
    assert "<Content><![CDATA[好 ]] ><x>]]></Content>" in xml


@pytest.mark.usefixtures("plain_mode")
def test_a_text_reply_is_cut_at_2048_bytes_between_characters():
    push = verify_and_parse("oa", query(), TEXT.encode())

    reply = reply_text(push, "字" * 1000).decode()

    assert reply.count("字") == 682  # 2046 bytes


@pytest.mark.usefixtures("plain_mode")
@pytest.mark.parametrize(
    ("message", "shown"), [(TEXT, 1), (EVENT.format(event="CLICK", key=""), 3)]
)
def test_a_news_reply_shows_as_many_cards_as_the_platform_allows(message, shown):
    push = verify_and_parse("oa", query(), message.encode())

    reply = reply_news(
        push, [Article(f"课{n}", "理由", "https://k.cn/") for n in range(3)]
    ).decode()

    assert f"<ArticleCount>{shown}</ArticleCount>" in reply
    assert reply.count("<item>") == shown


def test_the_address_check_returns_the_echo_of_the_platform_alone():
    assert echo("oa", query(echostr="1616140317555161061")) == "1616140317555161061"
    with pytest.raises(WeChatForged):
        echo("oa", query(echostr="x", signature="0" * 40))


def test_an_account_without_a_token_believes_nobody(settings):
    settings.KPAY = replace(settings.KPAY, wechat=replace(settings.KPAY.wechat, oa_token=""))

    with pytest.raises(WeChatNotConfigured):
        echo("oa", query(echostr="x"))
