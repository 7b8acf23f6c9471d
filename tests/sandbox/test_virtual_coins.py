"""Coins and withdrawals (`wechat.md` B3)."""

import json

import pytest

from tests.sandbox.virtual import opened, taking
from wechat_sandbox.client import SandboxRefusedError

ITEMS = json.dumps([{"productid": "course-1", "unit_price": 60, "quantity": 1}])


def coins(shop, path, body, **changed):
    signed = {"session_key": shop.buyer["session_key"]} | changed
    return shop.ask(path, {"openid": shop.openid, "user_ip": "10.0.0.1"} | body, **signed)


def balance(shop):
    reply = coins(shop, "query_user_balance", {})
    assert reply["errcode"] == 0, reply
    return reply


def spend(shop, number="C0000001", amount=60, **changed):
    body = {"order_id": number, "amount": amount, "payitem": ITEMS, "remark": "课程"}
    return coins(shop, "currency_pay", body, **changed)


def give_back(shop, number, amount, pay_number="C0000001"):
    body = {"pay_order_id": pay_number, "order_id": number, "amount": amount}
    return coins(shop, "cancel_currency_pay", body)


def present(shop, number="P0000001", amount=20):
    body = {"openid": shop.openid, "order_id": number, "amount": amount}
    return shop.ask("present_currency", body)


@pytest.fixture
def rich(shop, receiver):
    """100 bought coins at 10 fen, 20 presented ones."""
    taking(receiver)
    params = shop.params(
        "V0000001", "short_series_coin", buyQuantity=100, productId=None, goodsPrice=None
    )
    shop.platform.virtual_pay(shop.openid, params)
    assert present(shop)["errcode"] == 0
    return shop


def test_bought_coins_fill_the_purse_and_are_told(rich, receiver, env):
    fields = json.loads(opened(env, receiver))
    assert fields["Event"] == "xpay_coin_pay_notify"
    assert fields["CoinInfo"] == {
        "Quantity": 100,
        "OrigPrice": 1000,
        "ActualPrice": 1000,
        "Attach": "课程",
    }
    purse = balance(rich)
    assert (purse["balance"], purse["present_balance"]) == (120, 20)
    assert (purse["sum_save"], purse["sum_present"], purse["sum_balance"]) == (100, 20, 120)
    assert (purse["sum_cost"], purse["first_save_flag"]) == (0, False)


def test_both_signatures_are_needed_for_what_is_the_users(rich):
    key = rich.buyer["session_key"]
    assert coins(rich, "query_user_balance", {}, session_key=None)["errcode"] == 268490003
    assert coins(rich, "query_user_balance", {}, session_key=key[::-1])["errcode"] == 268490003
    assert coins(rich, "query_user_balance", {}, pay_sig="0")["errcode"] == 268490003
    rich.platform.login_code(rich.openid, rotate_session_key=True)
    assert spend(rich)["errcode"] == 268490009


def test_presented_coins_are_spent_first_and_a_number_spends_once(rich):
    paid = spend(rich)

    assert (paid["errcode"], paid["order_id"]) == (0, "C0000001")
    assert (paid["balance"], paid["used_present_amount"]) == (60, 20)
    assert spend(rich)["errcode"] == 268490004
    assert spend(rich, amount=1)["errcode"] == 268490002
    assert spend(rich, "C0000002", 61)["errcode"] == 268490006
    assert balance(rich)["sum_cost"] == 60


def test_spent_coins_come_back_in_parts_up_to_what_was_spent(rich):
    spend(rich)

    assert give_back(rich, "B0000001", 50)["errcode"] == 0
    assert (balance(rich)["balance"], balance(rich)["present_balance"]) == (110, 10)
    assert give_back(rich, "B0000001", 50)["errcode"] == 268490004
    assert give_back(rich, "B0000002", 11)["errcode"] == 268490006
    assert give_back(rich, "B0000002", 10)["errcode"] == 0
    assert (balance(rich)["balance"], balance(rich)["present_balance"]) == (120, 20)
    assert give_back(rich, "B0000003", 1)["errcode"] == 268490005
    assert give_back(rich, "B0000003", 1, "C0000009")["errcode"] == 268490002


def test_presents_are_repeated_until_told_so(rich):
    assert present(rich)["errcode"] == 268490004
    assert present(rich, amount=21)["errcode"] == 268490002
    second = present(rich, "P0000002", 5)
    assert (second["balance"], second["present_balance"]) == (125, 25)


def test_wrong_coin_calls_are_refused(rich):
    assert spend(rich, "C0000002", 0)["errcode"] == 268490002
    body = {"order_id": "C0000002", "amount": 1, "payitem": "[]", "remark": ""}
    assert coins(rich, "currency_pay", body)["errcode"] == 268490002
    rich.platform.settings(xpay_coin_published=False)
    assert spend(rich)["errcode"] == 268490008
    assert present(rich, "P0000002")["errcode"] == 268490008
    params = rich.params("V0000002", "short_series_coin", buyQuantity=1)
    with pytest.raises(SandboxRefusedError, match="COIN_NOT_PUBLISH"):
        rich.platform.virtual_pay(rich.openid, params)


def test_a_refund_of_coins_takes_them_back_while_they_are_there(rich):
    rich.platform.settings(xpay_hold_refunds=True)
    spend(rich, amount=90)
    left = {"left_fee": 1000}
    assert rich.refund("R0000001", refund_fee=310, **left)["errcode"] == 268490006
    assert rich.refund("R0000001", refund_fee=300, **left)["errcode"] == 0
    assert balance(rich)["balance"] == 0

    rich.platform.virtual_refund("R0000001", "fail")

    assert balance(rich)["balance"] == 30


def withdraw(shop, number="W0000001", amount="5.5", **changed):
    body = {"withdraw_no": number, "withdraw_amount": amount} | changed
    return shop.ask("create_withdraw_order", {n: v for n, v in body.items() if v is not None})


def test_earnings_are_withdrawn_in_yuan_text(rich):
    reply = withdraw(rich)
    assert (reply["errcode"], reply["withdraw_no"]) == (0, "W0000001")
    rich.platform.advance(1)

    found = rich.ask("query_withdraw_order", {"withdraw_no": "W0000001"})

    assert (found["status"], found["withdraw_amount"]) == (2, "5.50")
    assert found["wx_withdraw_no"] == reply["wx_withdraw_no"]
    assert int(found["withdraw_success_timestamp"]) > 0
    assert withdraw(rich)["errcode"] == 268490004
    assert withdraw(rich, amount="1")["errcode"] == 268490002
    assert withdraw(rich, "W0000002", "4.51")["errcode"] == 268490006
    assert rich.platform.virtual_withdrawal("W0000002", "fail")["planned"] == "fail"
    assert withdraw(rich, "W0000002", None)["errcode"] == 0
    rich.platform.advance(1)
    assert rich.ask("query_withdraw_order", {"withdraw_no": "W0000002"})["status"] == 3
    assert withdraw(rich, "W0000003", "4.5")["errcode"] == 0


@pytest.mark.parametrize("amount", ["", "1.234", "-1", "01", "1e3", 5])
def test_amounts_that_are_no_yuan_are_refused(rich, amount):
    assert withdraw(rich, amount=amount)["errcode"] == 268490002
    unknown = rich.ask("query_withdraw_order", {"withdraw_no": "W0000001"})
    assert unknown["errcode"] == 268490002
