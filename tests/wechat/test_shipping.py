"""Order shipping against the sandbox over HTTP (`wechat.md` A9)."""

from datetime import timedelta

import pytest

from kernel import clock
from kernel.ids import new_no
from wechat.errors import WeChatNotNow, WeChatRefused
from wechat.mp import mp_client
from wechat.pay import pay_client


@pytest.fixture(autouse=True)
def _no_transaction(db):
    """The guard of every client method looks at the connection."""


def paid(sandbox):
    person, number = sandbox.user(), new_no()
    pay_client().jsapi_prepay(
        out_trade_no=number,
        description="系统课程",
        amount_fen=9900,
        openid=person["openid"],
        expires_at=clock.now() + timedelta(minutes=30),
        notify_url="http://127.0.0.1:1/wechat/pay/notify",
    )
    sandbox.pay(number, notify=False)
    return number, person["openid"]


def upload(number, openid, **changes):
    values = {
        "mchid": pay_client().mchid,
        "out_trade_no": number,
        "openid": openid,
        "item": "《系统课程》" * 40,
        "delivered_at": clock.now(),
    }
    mp_client().upload_shipping(**{**values, **changes})


@pytest.mark.parametrize("managed", [True, False])
def test_an_app_is_managed_or_not(sandbox, managed):
    sandbox.settings(trade_managed=managed)

    assert mp_client().is_trade_managed() is managed


def test_a_payment_that_shipping_does_not_know_yet_is_not_now(sandbox):
    number, openid = paid(sandbox)

    with pytest.raises(WeChatNotNow) as later:
        upload(number, openid)

    assert later.value.wechat_code == "10060001"
    sandbox.advance(11)
    upload(number, openid)


def test_a_delivery_that_was_told_before_is_no_mistake(sandbox):
    number, openid = paid(sandbox)
    sandbox.advance(11)

    upload(number, openid)  # the first
    upload(number, openid)  # the same again: 10060023
    upload(number, openid, item="另一门课")  # a correction
    upload(number, openid, item="又一门课")  # one too many: 10060003

    assert len(sandbox.calls("/wxa/sec/order/upload_shipping_info")) == 4


def test_somebody_elses_payment_is_refused(sandbox):
    number, _openid = paid(sandbox)
    sandbox.advance(11)

    with pytest.raises(WeChatRefused) as refused:
        upload(number, sandbox.user()["openid"])

    assert refused.value.wechat_code == "10060031"
