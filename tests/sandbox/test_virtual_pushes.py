"""Pushes of virtual payment: until ErrCode 0, plain or encrypted, by plan, through faults (B4)."""

import json

import pytest
import xmltodict

from tests.sandbox.virtual import TAKEN, crypto, opened, taking


def test_a_payment_asks_for_delivery_encrypted_in_json(shop, receiver, env):
    taking(receiver)

    push = shop.pay()["push"]

    assert receiver.got[0][0].startswith("/wechat/mp/callback?")
    fields = json.loads(opened(env, receiver))
    order = shop.order()
    assert fields["Event"] == "xpay_goods_deliver_notify"
    assert fields["MsgType"] == "event"
    assert fields["FromUserName"] != fields["OpenId"] == shop.openid
    assert (fields["OutTradeNo"], fields["Env"]) == ("V0000001", 0)
    assert fields["WeChatPayInfo"] == {
        "MchOrderNo": order["channel_order_id"],
        "TransactionId": order["wxpay_order_id"],
        "PaidTime": order["paid_time"],
    }
    assert fields["GoodsInfo"] == {
        "ProductId": "course-1",
        "Quantity": 1,
        "OrigPrice": 9900,
        "ActualPrice": 9900,
        "Attach": "课程",
    }
    assert (push["state"], push["attempts"]) == ("accepted", 1)


def test_the_account_may_want_xml_or_plain_pushes(shop, receiver, env):
    taking(receiver)
    shop.platform.settings(mp_push_xml=True)
    shop.pay("V0000001")
    fields = xmltodict.parse(opened(env, receiver))["xml"]
    assert fields["GoodsInfo"]["ActualPrice"] == "9900"

    shop.platform.settings(mp_push_xml=False, mp_push_plain=True)
    shop.pay("V0000002")
    path, _, body = receiver.got[-1]
    assert "encrypt_type" not in path
    assert json.loads(body)["OutTradeNo"] == "V0000002"


@pytest.mark.parametrize(
    "answer",
    [
        TAKEN,
        b'{"errcode": "0"}',
        b"<xml><ErrCode>0</ErrCode><ErrMsg><![CDATA[success]]></ErrMsg></xml>",
    ],
)
def test_a_plain_answer_to_an_encrypted_push_is_enough(shop, receiver, answer):
    receiver.answer = lambda *_: (200, answer)

    assert shop.pay()["push"]["state"] == "accepted"


def test_an_encrypted_answer_is_opened(shop, receiver, env):
    box = crypto(env).encrypt_message(TAKEN.decode(), "123456", "1700000000")
    receiver.answer = lambda *_: (200, box.encode())

    push = shop.pay()["push"]

    assert push["state"] == "accepted"
    assert push["reply"]["encrypted"] is True


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, b""), (200, b"success"), (200, b'{"ErrCode":-1,"ErrMsg":"busy"}'), (500, TAKEN)],
)
def test_anything_else_is_repeated_and_the_order_stays_undelivered(shop, receiver, status, answer):
    receiver.answer = lambda *_: (status, answer)
    push = shop.pay()["push"]
    assert (push["state"], push["attempts"]) == ("pending", 1)
    assert (shop.order()["status"], shop.order()["provide_time"]) == (3, 0)

    taking(receiver)
    shop.platform.advance(2)

    assert len(receiver.got) == 2
    assert shop.order()["status"] == 4


def test_the_plan_ends_after_sixteen_deliveries(shop, receiver):
    receiver.answer = lambda *_: (500, b"")
    shop.pay()

    shop.platform.advance(2 + 4 + 8)
    assert len(receiver.got) == 4
    shop.platform.advance(2**17)

    assert len(receiver.got) == 16
    order = shop.platform.virtual_order("V0000001")
    assert (order["status"], order["pushes"][0]["state"]) == (3, "given_up")


def test_a_lost_push_is_found_by_asking(shop, receiver):
    taking(receiver)

    assert shop.pay(notify=False)["push"] is None

    assert shop.order()["status"] == 2
    assert receiver.got == []


def test_a_dropped_push_comes_again(shop, receiver):
    taking(receiver)
    shop.platform.fault("drop", on="push", event_type="xpay_goods_deliver_notify", count=1)

    assert shop.pay()["push"]["attempts"] == 1
    assert receiver.got == []
    shop.platform.advance(2)

    assert len(receiver.got) == 1


def test_a_push_comes_twice_at_once(shop, receiver):
    taking(receiver)
    shop.platform.fault("duplicate", on="push", event_type="xpay_*", copies=5, count=1)

    shop.pay()

    assert len(receiver.got) == 5


def test_a_push_is_put_off_on_the_platforms_clock(shop, receiver):
    taking(receiver)
    shop.platform.fault("delay:90", on="push", event_type="xpay_*", count=1)

    shop.pay()
    shop.platform.advance(80)
    assert receiver.got == []
    shop.platform.advance(10)
    assert len(receiver.got) == 1

    shop.pay("V0000002", delay_seconds=30, wait=False)
    assert len(receiver.got) == 1
    shop.platform.advance(30)
    assert len(receiver.got) == 2


def test_a_push_is_overtaken_by_a_later_one(shop, receiver, env):
    taking(receiver)
    shop.platform.fault("reorder", on="push", event_type="xpay_*", count=1)

    shop.pay("V0000001")
    shop.pay("V0000002")
    shop.platform.advance(0)

    numbers = [json.loads(opened(env, receiver, place))["OutTradeNo"] for place in (0, 1)]
    assert numbers == ["V0000002", "V0000001"]


def test_a_forged_amount_stands_before_the_right_push(shop, receiver, env):
    taking(receiver)
    shop.platform.fault("wrong_amount", on="push", event_type="xpay_*", count=1)

    shop.pay()

    prices = [
        json.loads(opened(env, receiver, place))["GoodsInfo"]["ActualPrice"] for place in (0, 1)
    ]
    assert prices == [9901, 9900]


def test_an_apple_payment_is_told_without_a_payment_of_wechat_pay(shop, receiver, env):
    taking(receiver)

    shop.pay(platform="ios")

    assert "WeChatPayInfo" not in json.loads(opened(env, receiver))
