"""Pushes of virtual payment in both forms, and what we answer."""

import json
import secrets
from dataclasses import replace

import orjson
import pytest

from kernel import clock
from kernel.errors import InvalidInput
from tests.wechat import independent
from wechat.push import verify_and_parse
from wechat.xpay import (
    Provided,
    answer_apple,
    answer_ok,
    answer_retry,
    is_apple_question,
    is_xpay,
    parse_apple_question,
    parse_deliver,
    parse_refund_notify,
)

TOKEN, APPID = "QDG6eK", "wx5823bf96d3bd56c7"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
HEAD = {
    "ToUserName": "gh_1",
    "FromUserName": "oPlatform",
    "CreateTime": 1700000000,
    "MsgType": "event",
}
DELIVER = {
    **HEAD,
    "Event": "xpay_goods_deliver_notify",
    "OpenId": "oBuyer",
    "OutTradeNo": "no-1",
    "Env": 0,
    "WeChatPayInfo": {"MchOrderNo": "m1", "TransactionId": "t1", "PaidTime": 1700000000},
    "GoodsInfo": {
        "ProductId": "course_12",
        "Quantity": 1,
        "OrigPrice": 9900,
        "ActualPrice": 9900,
        "Attach": "课程",
    },
}
REFUND = {
    **HEAD,
    "Event": "xpay_refund_notify",
    "OpenId": "oBuyer",
    "WxRefundId": "wr1",
    "MchRefundId": "r-1",
    "WxOrderId": "w1",
    "MchOrderId": "no-1",
    "RefundFee": 900,
    "RetCode": 0,
    "RetMsg": "ok",
    "RefundStartTimestamp": 1700000000,
    "RefundSuccTimestamp": 1700000060,
    "WxpayRefundTransactionId": "wx-r-1",
    "RetryTimes": 0,
}
# The published table of this one has no head at all, and every value is text.
APPLE = {
    "refund_time": "1700000000",
    "order_time": "1699990000",
    "channel_bill": "bill-1",
    "bundleid": "com.tencent.xin",
    "product_id": "course_12",
    "p_count": "1",
    "refund_request_reason": "不想要了",
    "provide_status": "1",
    "pay_order_id": "no-1",
}


@pytest.fixture(autouse=True)
def account(settings):
    wechat = replace(
        settings.KPAY.wechat, mp_appid=APPID, mp_token=TOKEN, mp_aes_key=AES_KEY,
        oa_appid=APPID, oa_token=TOKEN, oa_aes_key=AES_KEY,
    )  # fmt: skip
    settings.KPAY = replace(settings.KPAY, wechat=wechat)
    return settings


def xml_of(value, name="xml"):
    if isinstance(value, dict):
        inner = "".join(xml_of(item, key) for key, item in value.items())
        return f"<{name}>{inner}</{name}>"
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    return f"<{name}><![CDATA[{value}]]></{name}>"


def pushed(message, form="json", account="mp"):
    text = xml_of(message) if form == "xml" else json.dumps(message, ensure_ascii=False)
    box = independent.seal_push(text, AES_KEY, APPID)
    stamp, nonce = str(int(clock.timestamp())), secrets.token_hex(5)
    query = {
        "timestamp": stamp,
        "nonce": nonce,
        "encrypt_type": "aes",
        "msg_signature": independent.sha1(TOKEN, stamp, nonce, box),
    }
    envelope = {"ToUserName": "gh_1", "Encrypt": box}
    body = xml_of(envelope) if form == "xml" else json.dumps(envelope)
    return verify_and_parse(account, query, body.encode())


def small(value):
    """The same message with all its names in lower case."""
    if isinstance(value, dict):
        kept = {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"}
        return {k if k in kept else k.lower(): small(v) for k, v in value.items()}
    return value


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("change", [lambda m: m, small])
def test_a_delivery_is_read_whatever_the_form_and_the_case(form, change):
    push = pushed(change(DELIVER), form)

    paid = parse_deliver(push)

    assert is_xpay(push)
    assert push.form == form
    assert (paid.out_trade_no, paid.openid, paid.env) == ("no-1", "oBuyer", 0)
    assert (paid.mch_order_no, paid.transaction_id) == ("m1", "t1")
    assert paid.paid_at.timestamp() == 1700000000
    assert (paid.product_id, paid.quantity, paid.attach) == ("course_12", 1, "课程")
    assert (paid.orig_price_fen, paid.actual_price_fen) == (9900, 9900)


def test_money_that_came_another_way_has_no_numbers_of_wechat_pay():
    message = {name: value for name, value in DELIVER.items() if name != "WeChatPayInfo"}

    paid = parse_deliver(pushed(message))

    assert (paid.transaction_id, paid.paid_at) == ("", None)


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize(("code", "succeeded"), [(0, True), (1, False), (-1, False)])
def test_the_end_of_a_refund_is_read(form, code, succeeded):
    ended = parse_refund_notify(pushed({**REFUND, "RetCode": code}, form))

    assert (ended.out_trade_no, ended.out_refund_no) == ("no-1", "r-1")
    assert (ended.wx_order_id, ended.wx_refund_id, ended.wxpay_refund_id) == ("w1", "wr1", "wx-r-1")
    assert (ended.refund_fen, ended.succeeded, ended.openid) == (900, succeeded, "oBuyer")
    assert ended.succeeded_at.timestamp() - ended.started_at.timestamp() == 60


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("head", [{}, {**HEAD, "Event": "xpay_subscribe_ios_refund_query_notify"}])
def test_apples_question_is_known_with_and_without_the_usual_head(form, head):
    push = pushed({**head, **APPLE}, form)

    asked = parse_apple_question(push)

    assert is_xpay(push)
    assert is_apple_question(push)
    assert (asked.pay_order_id, asked.channel_bill) == ("no-1", "bill-1")
    assert (asked.product_id, asked.quantity, asked.reason) == ("course_12", 1, "不想要了")
    assert asked.provided is Provided.YES
    assert asked.asked_at.timestamp() == 1700000000
    assert asked.ordered_at.timestamp() == 1699990000


@pytest.mark.parametrize(
    ("parse", "message", "change"),
    [
        (parse_deliver, DELIVER, {"OutTradeNo": ""}),
        (parse_deliver, DELIVER, {"OpenId": None}),
        (parse_deliver, DELIVER, {"Env": None}),
        (parse_deliver, DELIVER, {"GoodsInfo": "x"}),
        (parse_deliver, DELIVER, {"GoodsInfo": {}}),
        (parse_deliver, DELIVER, {"WeChatPayInfo": [1]}),
        (parse_deliver, DELIVER, {"outtradeno": "no-2"}),  # one name, two values
        (parse_deliver, DELIVER, {"GoodsInfo": {**DELIVER["GoodsInfo"], "ActualPrice": 99.5}}),
        (parse_deliver, DELIVER, {"GoodsInfo": {**DELIVER["GoodsInfo"], "ActualPrice": -1}}),
        (parse_deliver, DELIVER, {"GoodsInfo": {**DELIVER["GoodsInfo"], "ActualPrice": True}}),
        (parse_deliver, REFUND, {}),
        (parse_refund_notify, DELIVER, {}),
        (parse_refund_notify, REFUND, {"RetCode": ""}),
        (parse_refund_notify, REFUND, {"RetCode": "ok"}),
        (parse_refund_notify, REFUND, {"RefundFee": "9.00"}),
        (parse_refund_notify, REFUND, {"MchOrderId": "n" * 200}),
        (parse_apple_question, {**HEAD, **APPLE}, {"provide_status": "7"}),
        (parse_apple_question, {**HEAD, **APPLE}, {"pay_order_id": ""}),
        (parse_apple_question, DELIVER, {}),
    ],
)
def test_a_push_of_another_shape_is_refused(parse, message, change):
    push = pushed({**message, **change})

    with pytest.raises(InvalidInput):
        parse(push)


def test_only_the_mini_programs_server_hears_of_virtual_payment():
    push = pushed(DELIVER, account="oa")

    assert not is_xpay(push)
    with pytest.raises(InvalidInput):
        parse_deliver(push)
    with pytest.raises(InvalidInput):
        pushed(APPLE, account="oa")  # without its head it is no message there


def test_two_payments_and_two_refunds_of_one_second_are_told_apart():
    keys = {
        pushed(message).dedupe_key
        for message in (
            DELIVER,
            {**DELIVER, "OutTradeNo": "no-2"},
            REFUND,
            {**REFUND, "MchRefundId": "r-2"},
            small({**REFUND, "MchRefundId": "r-3"}),
            {**REFUND, "RetCode": 1},
            APPLE,
            {**APPLE, "pay_order_id": "no-2"},
        )
    }
    again = {pushed({**DELIVER, "RetryTimes": 1}).dedupe_key, pushed(APPLE).dedupe_key}

    assert len(keys) == 8
    assert again <= keys


def test_json_is_answered_with_json_in_clear():
    push = pushed(DELIVER)

    assert json.loads(answer_ok(push)) == {"ErrCode": 0, "ErrMsg": "success"}
    assert json.loads(answer_retry(push, "稍后")) == {"ErrCode": 1, "ErrMsg": "稍后"}


def test_xml_is_answered_with_xml_in_clear():
    push = pushed(DELIVER, "xml")

    assert answer_ok(push) == b"<xml><ErrCode>0</ErrCode><ErrMsg>success</ErrMsg></xml>"
    assert answer_retry(push, "<a&b>").decode() == (
        "<xml><ErrCode>1</ErrCode><ErrMsg>&lt;a&amp;b&gt;</ErrMsg></xml>"
    )


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize(("agree", "code"), [(True, 0), (False, 1)])
def test_the_answer_to_apple_goes_back_in_an_envelope_of_the_same_form(form, agree, code):
    answer = answer_apple(pushed(APPLE, form), agree=agree, info="已学 80%", evidence="学习记录")

    if form == "json":
        envelope = orjson.loads(answer)
        assert isinstance(envelope["TimeStamp"], int)
    else:
        envelope = {
            name: answer.decode().split(f"<{name}>")[1].split(f"</{name}>")[0]
            .removeprefix("<![CDATA[").removesuffix("]]>")
            for name in ("Encrypt", "MsgSignature", "TimeStamp", "Nonce")
        }  # fmt: skip
    stamp, box = str(envelope["TimeStamp"]), envelope["Encrypt"]
    assert envelope["MsgSignature"] == independent.sha1(TOKEN, stamp, envelope["Nonce"], box)
    text, owner = independent.open_push(box, AES_KEY)
    assert owner == APPID
    if form == "json":
        assert json.loads(text) == {
            "result_code": code, "result_info": "已学 80%", "evidence": "学习记录",
        }  # fmt: skip
    else:
        assert text == (
            f"<xml><result_code>{code}</result_code><result_info>已学 80%</result_info>"
            "<evidence>学习记录</evidence></xml>"
        )


def test_a_question_in_clear_is_answered_in_clear(account):
    wechat = replace(account.KPAY.wechat, mp_aes_key="")
    account.KPAY = replace(account.KPAY, wechat=wechat)
    stamp, nonce = str(int(clock.timestamp())), secrets.token_hex(5)
    query = {
        "timestamp": stamp,
        "nonce": nonce,
        "signature": independent.sha1(TOKEN, stamp, nonce),
    }
    push = verify_and_parse("mp", query, json.dumps(APPLE).encode())

    answer = answer_apple(push, agree=True, info="", evidence="x")

    assert json.loads(answer) == {"result_code": 0, "result_info": "", "evidence": "x"}
