"""Apple's questions and refunds, and complaints (`wechat.md` B3, B4, G19)."""

import json
import time

import pytest
import xmltodict

from tests.sandbox.virtual import crypto, opened, taking
from wechat_sandbox.client import SandboxRefusedError

REFUSE = {"result_code": 1, "result_info": "已学完", "evidence": "学习进度 98%"}


@pytest.fixture
def apple(shop, receiver):
    """A shop with one delivered order that was paid through Apple."""
    taking(receiver)
    shop.pay(platform="ios")
    receiver.got.clear()
    return shop


def sealed(env, answer):
    """An encrypted reply as wechatpy makes it, in JSON."""
    box = crypto(env).encrypt_message(json.dumps(answer), "nonce-1", "1700000000")
    parts = dict(xmltodict.parse(box)["xml"])
    return json.dumps(parts).encode()


def test_the_answer_of_the_merchant_is_recorded(apple, receiver, env):
    receiver.answer = lambda *_: (200, sealed(env, REFUSE))

    answer = apple.platform.apple_question("V0000001", reason="误购")

    assert (answer["answer"], answer["result_code"]) == ("refuse", 1)
    assert (answer["result_info"], answer["evidence"]) == ("已学完", "学习进度 98%")
    fields = json.loads(opened(env, receiver))
    assert fields["Event"] == "xpay_subscribe_ios_refund_query_notify"
    assert (fields["pay_order_id"], fields["product_id"]) == ("V0000001", "course-1")
    assert (fields["provide_status"], fields["p_count"]) == ("1", "1")
    assert fields["refund_request_reason"] == "误购"
    assert fields["channel_bill"] == apple.order()["channel_order_id"]
    assert len(receiver.got) == 1
    assert apple.platform.virtual_order("V0000001")["apple_questions"][0]["answer"] == "refuse"


def test_agreeing_is_an_answer_too(apple, receiver, env):
    agree = {"result_code": 0, "result_info": "同意", "evidence": "未学习"}
    receiver.answer = lambda *_: (200, sealed(env, agree))

    assert apple.platform.apple_question("V0000001")["answer"] == "agree"


@pytest.mark.parametrize("kind", ["plain", "no evidence", "ErrCode", "empty", "500"])
def test_what_does_not_count_is_asked_three_times_and_then_unsure(apple, receiver, env, kind):
    answers = {
        "plain": (200, json.dumps(REFUSE).encode()),
        "no evidence": (200, sealed(env, REFUSE | {"evidence": ""})),
        "ErrCode": (200, sealed(env, {"ErrCode": 0})),
        "empty": (200, b""),
        "500": (500, sealed(env, REFUSE)),
    }
    receiver.answer = lambda *_: answers[kind]

    answer = apple.platform.apple_question("V0000001")

    assert (answer["answer"], answer["result_code"]) == ("unsure", None)
    assert len(receiver.got) == 3


def test_a_plain_answer_counts_where_pushes_are_plain(apple, receiver):
    apple.platform.settings(mp_push_plain=True)
    receiver.answer = lambda *_: (200, json.dumps(REFUSE).encode())

    assert apple.platform.apple_question("V0000001")["answer"] == "refuse"


def test_an_answer_after_three_seconds_is_too_late(apple, receiver, env):
    def slow_once(*_):
        if len(receiver.got) == 1:
            time.sleep(3.3)
        return 200, sealed(env, REFUSE)

    receiver.answer = slow_once

    answer = apple.platform.apple_question("V0000001")

    assert answer["answer"] == "refuse"
    assert [d["status"] for d in answer["deliveries"]] == [None, 200]


def test_apple_gives_back_by_itself(apple, receiver, env):
    given = apple.platform.apple_refund("V0000001")

    assert (given["order"]["status"], given["order"]["left_fee"]) == (5, 0)
    assert given["push"]["state"] == "accepted"
    fields = json.loads(opened(env, receiver))
    assert fields["Event"] == "xpay_refund_notify"
    assert (fields["MchOrderId"], fields["RefundFee"]) == ("V0000001", 9900)
    assert (fields["MchRefundId"], fields["RetCode"]) == ("", 0)
    assert (fields["Attach"], fields["WxTransactionId"]) == (
        "课程",
        apple.order()["channel_order_id"],
    )
    with pytest.raises(SandboxRefusedError, match="409 order_refunded"):
        apple.platform.apple_refund("V0000001")


def test_apple_may_refuse_and_asks_about_its_own_orders_alone(apple, receiver):
    assert apple.platform.apple_refund("V0000001", refunded=False)["push"] is None
    assert apple.order()["status"] == 4

    apple.pay("V0000002")
    for act in (apple.platform.apple_question, apple.platform.apple_refund):
        with pytest.raises(SandboxRefusedError, match="409 not_apple"):
            act("V0000002")


def test_a_complaint_is_told(apple, receiver, env):
    push = apple.platform.complaint("V0000001", detail="看不了")["push"]

    assert push["state"] == "accepted"
    fields = json.loads(opened(env, receiver))
    assert fields["Event"] == "xpay_complaint_notify"
    assert (fields["MchOrderId"], fields["ComplaintDetail"]) == ("V0000001", "看不了")
    assert fields["ComplaintId"]
