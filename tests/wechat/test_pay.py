"""The pay client against the sandbox over HTTP."""

from datetime import timedelta

import pytest
from django.db import transaction

from kernel import clock
from kernel.ids import new_no
from wechat.errors import WeChatNotNow, WeChatRefused, WeChatUncertain
from wechat.pay import pay_client

ORDERS = "/v3/pay/transactions"
REFUNDS = "/v3/refund/domestic/refunds"


@pytest.fixture(autouse=True)
def _no_transaction(db):
    """The guard of every client method looks at the connection."""


def prepay(sandbox, number, *, amount_fen=9900, openid=None, **changes):
    values = {
        "out_trade_no": number,
        "description": "《系统课程》" * 30,
        "amount_fen": amount_fen,
        "openid": openid or sandbox.user()["openid"],
        "expires_at": clock.now() + timedelta(minutes=30),
        "notify_url": "http://127.0.0.1:1/wechat/pay/notify",
        "client_ip": "127.0.0.1",
    }
    return pay_client().jsapi_prepay(**{**values, **changes})


def test_an_order_is_unknown_then_unpaid_then_paid(sandbox):
    number, person = new_no(), sandbox.user()

    assert pay_client().query(number) is None
    assert prepay(sandbox, number, openid=person["openid"])
    assert pay_client().query(number).trade_state == "NOTPAY"
    sandbox.pay(number)
    paid = pay_client().query(number)

    assert paid.trade_state == "SUCCESS"
    assert (paid.amount_fen, paid.currency) == (9900, "CNY")
    assert paid.payer_openid == person["openid"]
    assert (paid.appid, paid.mchid) == (pay_client().appid, pay_client().mchid)
    assert abs(paid.success_at - clock.now()) < timedelta(seconds=30)
    assert paid.transaction_id


def test_the_same_prepay_again_is_the_same_and_another_is_refused(sandbox):
    number, openid = new_no(), sandbox.user()["openid"]
    expires_at = clock.now() + timedelta(minutes=30)
    first = prepay(sandbox, number, openid=openid, expires_at=expires_at)

    assert prepay(sandbox, number, openid=openid, expires_at=expires_at) == first
    with pytest.raises(WeChatRefused):
        prepay(sandbox, number, openid=openid, amount_fen=1)


def test_closing_is_repeatable_and_a_paid_order_is_not_closed(sandbox):
    closed, paid = new_no(), new_no()
    prepay(sandbox, closed)
    prepay(sandbox, paid)
    sandbox.pay(paid)

    pay_client().close(closed)
    pay_client().close(closed)
    with pytest.raises(WeChatRefused) as refused:
        pay_client().close(paid)

    assert pay_client().query(closed).trade_state == "CLOSED"
    assert refused.value.wechat_code == "ORDERPAID"


def test_a_refund_is_asked_once_and_found(sandbox):
    number, refund_no = new_no(), new_no()
    prepay(sandbox, number)
    sandbox.pay(number)
    asked = {
        "out_refund_no": refund_no,
        "out_trade_no": number,
        "refund_fen": 900,
        "total_fen": 9900,
        "reason": "不再需要" * 30,
        "notify_url": "http://127.0.0.1:1/wechat/pay/notify",
    }

    assert pay_client().refund_find(refund_no) is None
    first = pay_client().refund_create(**asked)
    again = pay_client().refund_create(**asked)

    assert (first.status, first.refund_fen, first.total_fen) == ("PROCESSING", 900, 9900)
    assert again.refund_id == first.refund_id
    sandbox.settle_refund(refund_no)
    assert pay_client().refund_find(refund_no).status == "SUCCESS"


@pytest.mark.parametrize(
    "kind", ["bad_signature", "stale_timestamp", "unknown_serial", "signtest", "http_500"]
)
def test_an_answer_that_proves_nothing_is_uncertain_and_causes_no_other_call(sandbox, kind):
    number = new_no()
    sandbox.fault(kind, on="api", path=ORDERS)
    before = sandbox.last_call()

    with pytest.raises(WeChatUncertain):
        prepay(sandbox, number)

    calls = sandbox.calls(since=before)
    assert [call["path"] for call in calls] == [f"{ORDERS}/jsapi"]


def test_a_reset_after_the_effect_is_uncertain_and_the_query_tells(sandbox):
    number = new_no()
    sandbox.fault("reset_after_effect", on="api", path=f"{ORDERS}/jsapi", count=1)

    with pytest.raises(WeChatUncertain):
        prepay(sandbox, number)

    assert pay_client().query(number).trade_state == "NOTPAY"


def test_a_query_is_repeated_once_and_no_more(sandbox):
    number = new_no()
    prepay(sandbox, number)
    sandbox.fault("http_500", on="api", path=f"{ORDERS}/out-trade-no", count=1)
    assert pay_client().query(number).trade_state == "NOTPAY"
    sandbox.fault("http_500", on="api", path=f"{ORDERS}/out-trade-no")
    before = sandbox.last_call()

    with pytest.raises(WeChatUncertain):
        pay_client().query(number)

    assert len(sandbox.calls(f"{ORDERS}/out-trade-no", since=before)) == 2


def test_a_rate_limit_is_not_now(sandbox):
    sandbox.fault("rate_limit", on="api", path=f"{ORDERS}/jsapi")

    with pytest.raises(WeChatNotNow) as error:
        prepay(sandbox, new_no())

    assert error.value.status == 503
    assert error.value.retry_after == 5


@pytest.mark.parametrize("signing", ["public_key", "certificate", "mixed"])
def test_answers_of_every_key_that_we_know_are_believed(sandbox, signing):
    sandbox.settings(signing=signing)
    number = new_no()
    prepay(sandbox, number)

    assert pay_client().query(number).trade_state == "NOTPAY"


def test_both_clocks_moved_together_still_agree(sandbox):
    sandbox.advance(3 * 86400)

    assert prepay(sandbox, new_no())


@pytest.mark.django_db(transaction=True)
def test_no_client_method_talks_inside_a_transaction(sandbox):
    before = sandbox.last_call()
    with pytest.raises(RuntimeError), transaction.atomic():
        pay_client().query(new_no())

    assert sandbox.calls("/v3", since=before) == []
