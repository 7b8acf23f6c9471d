"""Refunds of virtual orders: async, read "refunded" at once, fall back (`wechat.md` B3)."""

import json

import pytest

from tests.sandbox.virtual import opened, taking


@pytest.fixture
def paid(shop, receiver):
    """A shop with one delivered order of 9900 fen; refunds wait for control."""
    taking(receiver)
    shop.pay()
    shop.platform.settings(xpay_hold_refunds=True)
    return shop


def test_a_refund_reads_refunded_at_once_and_is_told_at_its_end(paid, receiver, env):
    reply = paid.refund(biz_meta="note")

    assert reply["errcode"] == 0
    assert (reply["refund_order_id"], reply["pay_order_id"]) == ("R0000001", "V0000001")
    assert reply["pay_wx_order_id"] == paid.order()["wx_order_id"]
    assert (paid.order()["status"], paid.order()["left_fee"]) == (5, 0)
    running = paid.order("R0000001")
    assert (running["order_type"], running["refund_fee"], running["status"]) == (1, 9900, 1)

    settled = paid.platform.virtual_refund("R0000001")

    assert settled["status"] == "success"
    fields = json.loads(opened(env, receiver))
    assert fields["Event"] == "xpay_refund_notify"
    assert (fields["OpenId"], fields["MchOrderId"]) == (paid.openid, "V0000001")
    assert (fields["MchRefundId"], fields["RefundFee"]) == ("R0000001", 9900)
    assert (fields["RetCode"], fields["RetryTimes"]) == (0, 0)
    assert fields["WxRefundId"] == reply["refund_wx_order_id"]
    ended = paid.query(order_id=None, wx_order_id=reply["refund_wx_order_id"])["order"]
    assert (ended["status"], ended["biz_meta"]) == (5, "note")
    assert ended["paid_time"] > 0


def test_a_failed_refund_lets_the_order_fall_back(paid, receiver, env):
    paid.refund()

    paid.platform.virtual_refund("R0000001", "fail")

    assert (paid.order()["status"], paid.order()["left_fee"]) == (4, 9900)
    assert paid.order("R0000001")["status"] == 7
    assert json.loads(opened(env, receiver))["RetCode"] != 0
    assert paid.refund()["errcode"] == 268490002
    assert paid.refund("R0000002")["errcode"] == 0


def test_parts_are_given_back_one_after_the_other(paid):
    assert paid.refund("R0000001", refund_fee=3000)["errcode"] == 0
    busy = paid.refund("R0000002", refund_fee=3000, left_fee=6900)
    assert busy["errcode"] == 268490014
    paid.platform.virtual_refund("R0000001")

    assert paid.order()["left_fee"] == 6900
    assert paid.refund("R0000002", refund_fee=6900)["errcode"] == 268490016
    assert paid.refund("R0000002", refund_fee=6900, left_fee=6900)["errcode"] == 0
    paid.platform.virtual_refund("R0000002", "fail")
    assert (paid.order()["status"], paid.order()["left_fee"]) == (5, 6900)


def test_the_same_number_is_told_as_repeated(paid):
    paid.refund(refund_fee=3000)

    assert paid.refund(refund_fee=3000)["errcode"] == 268490004
    assert paid.refund(refund_fee=3000, left_fee=6900)["errcode"] == 268490004
    assert paid.refund(refund_fee=2000)["errcode"] == 268490002
    assert paid.order()["left_fee"] == 6900


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"refund_no": "R000001"}, 268490002),
        ({"refund_no": "R" * 33}, 268490002),
        ({"refund_no": "R000|001"}, 268490002),
        ({"left_fee": 9899}, 268490016),
        ({"refund_fee": 0}, 268490002),
        ({"refund_fee": 9901}, 268490002),
        ({"refund_fee": "9900"}, 268490002),
        ({"biz_meta": "x" * 1025}, 268490002),
        ({"biz_meta": None}, 268490002),
        ({"refund_reason": "6"}, 268490002),
        ({"req_from": "4"}, 268490002),
        ({"openid": "oNobody"}, 268490001),
        ({"number": "V0000009"}, 268490002),
    ],
)
def test_a_wrong_refund_is_refused_and_moves_nothing(paid, changed, errcode):
    assert paid.refund(**changed)["errcode"] == errcode

    assert (paid.order()["status"], paid.order()["left_fee"]) == (4, 9900)


def test_what_was_not_paid_and_what_apple_was_paid_is_not_given_back(paid):
    paid.pay("V0000002", "cancel")
    paid.pay("V0000003", platform="ios")

    assert paid.refund("R0000002", "V0000002")["errcode"] == 268490002
    assert paid.refund("R0000003", "V0000003")["errcode"] == 268490002
    assert paid.order("V0000003")["status"] == 4


def test_a_refund_ends_by_itself_with_the_outcome_that_was_planned(shop, receiver):
    taking(receiver)
    shop.pay()
    planned = shop.platform.virtual_refund("R0000001", "fail")
    assert planned["planned"] == "fail"

    shop.refund()
    shop.platform.advance(1)

    assert shop.order("R0000001")["status"] == 7
    assert shop.order()["status"] == 4


def test_the_push_of_a_refund_counts_its_repeats(paid, receiver, env):
    paid.refund()
    receiver.answer = lambda *_: (500, b"")

    paid.platform.virtual_refund("R0000001")
    paid.platform.advance(2)
    paid.platform.advance(4)

    tries = [json.loads(opened(env, receiver, place))["RetryTimes"] for place in (-3, -2, -1)]
    assert tries == [0, 1, 2]


def test_the_push_may_overtake_the_answer_and_an_answer_may_be_lost(paid, receiver):
    before = len(receiver.got)
    paid.platform.fault("notify_before_response", on="api", path="/xpay/refund_order", count=1)
    assert paid.refund(refund_fee=100)["errcode"] == 0
    assert len(receiver.got) == before + 1
    assert paid.order("R0000001")["status"] == 5

    lost = {"left_fee": 9800, "refund_fee": 200}
    paid.platform.fault("errcode:-1", on="api", path="/xpay/refund_order", count=1, effected=True)
    assert paid.refund("R0000002", **lost)["errcode"] == -1
    assert paid.refund("R0000002", **lost)["errcode"] == 268490004
    assert paid.order()["left_fee"] == 9600
