"""Server calls of virtual payment: signatures, queries, delivery (`wechat.md` B3)."""

import json

import pytest

from tests.sandbox.virtual import hex_hmac, taking


def test_every_call_is_signed_over_its_exact_bytes(shop):
    shop.pay()
    body = {"openid": shop.openid, "order_id": "V0000001"}
    text = json.dumps({"env": 0} | body)

    spaced = json.dumps({"env": 0} | body, indent=1)
    signed_otherwise = hex_hmac(shop.key(0), f"/xpay/query_order&{text}")
    wrong = [
        {"pay_sig": None},
        {"pay_sig": "0" * 64},
        {"pay_sig": hex_hmac(shop.key(0), f"/xpay/refund_order&{text}"), "text": text},
        {"pay_sig": hex_hmac(shop.key(1), f"/xpay/query_order&{text}"), "text": text},
        {"pay_sig": signed_otherwise, "text": spaced},
    ]

    for changed in wrong:
        assert shop.ask("query_order", body, **changed)["errcode"] == 268490003, changed
    assert shop.ask("query_order", body, text=spaced)["errcode"] == 0


def test_the_access_token_is_checked_first(shop):
    for token, errcode in ((None, 41001), ("nonsense", 40001)):
        reply = shop.ask("query_order", {}, access_token=token, pay_sig="wrong")
        assert reply["errcode"] == errcode
    shop.platform.advance(7201)
    assert shop.ask("query_order", {})["errcode"] == 42001


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"openid": "oNobody"}, 268490001),
        ({"openid": None}, 268490001),
        ({"order_id": None}, 268490002),
        ({"order_id": "V0000009"}, 268490002),
        ({"env": 2}, 268490002),
        ({"env": "0"}, 268490002),
    ],
)
def test_wrong_questions_are_told(shop, changed, errcode):
    shop.pay()

    assert shop.query(**changed)["errcode"] == errcode


def test_an_order_is_found_by_the_platforms_number_and_by_its_owner_alone(shop):
    shop.pay()
    number = shop.order()["wx_order_id"]

    found = shop.query(order_id=None, wx_order_id=number)
    other = shop.query(openid=shop.platform.user()["openid"])

    assert found["order"]["order_id"] == "V0000001"
    assert other["errcode"] == 268490001


def test_delivery_may_be_told_when_no_push_came_through(shop, receiver):
    receiver.answer = lambda *_: (500, b"")
    shop.pay("V0000001")
    shop.pay("V0000002", "cancel")

    assert shop.ask("notify_provide_goods", {"order_id": "V0000001"})["errcode"] == 0

    assert shop.order()["status"] == 4
    assert shop.order()["provide_time"] > 0
    repeated = shop.ask("notify_provide_goods", {"order_id": "V0000001"})
    assert repeated["errcode"] == 268490004
    unpaid = shop.ask("notify_provide_goods", {"order_id": "V0000002"})
    assert unpaid["errcode"] == 268490002
    shop.platform.advance(3600)
    assert len(receiver.got) == 1


def test_subscriptions_are_not_offered(shop):
    assert shop.ask("send_subscribe_pre_payment", {})["errcode"] == 40066


def test_an_injected_error_comes_in_the_platforms_form(shop, receiver):
    taking(receiver)
    shop.pay()
    shop.platform.fault("errcode:-1", on="api", path="/xpay/query_order", count=1)

    assert shop.query()["errcode"] == -1
    assert shop.query()["errcode"] == 0
