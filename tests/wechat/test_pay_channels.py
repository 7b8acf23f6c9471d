"""Codes, H5 pages, abnormal refunds and bills against the sandbox over HTTP."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kernel import clock
from kernel.ids import new_no
from wechat.errors import WeChatNotNow, WeChatRefused, WeChatUncertain
from wechat.pay import BankCard, PayClient, PayConfig, pay_client

BEIJING = ZoneInfo("Asia/Shanghai")
FILES = "/v3/billdownload/file"
OFFER = "/v3/bill/tradebill"


@pytest.fixture(autouse=True)
def _no_transaction(db):
    """The guard of every client method looks at the connection."""


def order(number, **changes):
    values = {
        "out_trade_no": number,
        "description": "系统课程",
        "amount_fen": 9900,
        "expires_at": clock.now() + timedelta(minutes=30),
        "notify_url": "http://127.0.0.1:1/wechat/pay/notify",
    }
    return {**values, **changes}


def test_a_code_is_paid_by_whoever_scans_it(sandbox):
    number = new_no()
    asked = order(number)

    url = pay_client().native_prepay(**asked)

    assert url.startswith("weixin://wxpay/")
    assert pay_client().native_prepay(**asked) == url
    sandbox.pay(number)
    paid = pay_client().query(number)
    assert (paid.trade_type, paid.trade_state) == ("NATIVE", "SUCCESS")
    assert (paid.amount_fen, paid.payer_total_fen) == (9900, 9900)


def test_an_h5_page_is_offered_for_the_shops_address(sandbox):
    number = new_no()

    url = pay_client().h5_prepay(
        **order(number, client_ip="127.0.0.1"), site_url="https://shop.cn", site_name="课程商店"
    )

    assert url.startswith("https://wx.tenpay.com/")
    (call,) = sandbox.calls("/v3/pay/transactions/h5")
    assert (
        '"h5_info":{"type":"Wap","app_name":"课程商店","app_url":"https://shop.cn"}' in call["body"]
    )
    sandbox.pay(number)
    assert pay_client().query(number).trade_type == "MWEB"


def test_an_unpaid_order_has_neither_kind_nor_payer(sandbox):
    number = new_no()
    pay_client().native_prepay(**order(number))

    unpaid = pay_client().query(number)

    assert (unpaid.trade_type, unpaid.payer_total_fen) in {("", None), ("NATIVE", None)}


def abnormal_refund(sandbox):
    number, refund_no = new_no(), new_no()
    pay_client().native_prepay(**order(number))
    sandbox.pay(number)
    refund = pay_client().refund_create(
        out_refund_no=refund_no,
        out_trade_no=number,
        refund_fen=9900,
        total_fen=9900,
        reason="",
        notify_url="http://127.0.0.1:1/wechat/pay/notify",
    )
    sandbox.settle_refund(refund_no, "abnormal")
    assert pay_client().refund_find(refund_no).status == "ABNORMAL"
    return refund.refund_id, refund_no


def test_an_abnormal_refund_is_sent_to_the_merchant(sandbox):
    refund_id, refund_no = abnormal_refund(sandbox)

    sent = pay_client().refund_abnormal_apply(refund_id, out_refund_no=refund_no)

    assert (sent.refund_id, sent.out_refund_no, sent.status) == (refund_id, refund_no, "PROCESSING")


@pytest.mark.parametrize("mode", ["public_key", "certificate"])
def test_an_abnormal_refund_is_sent_to_a_card_whose_number_is_sealed(sandbox, mode):
    refund_id, refund_no = abnormal_refund(sandbox)
    card = BankCard("ICBC_DEBIT", "6222021234567890123", "王小明")
    client = pay_client()
    if mode == "certificate":  # as an older merchant: no public key, certificates alone
        keys = client._config.keys
        old = type(keys)(keys.merchant, keys.apiv3_key, certificates=keys.certificates)
        client = PayClient(PayConfig(**{**vars(client._config), "keys": old}))

    sent = client.refund_abnormal_apply(refund_id, out_refund_no=refund_no, card=card)

    assert sent.status == "PROCESSING"
    assert sent.received_account == "ICBC_DEBIT0123"  # the platform could open it
    (call,) = sandbox.calls(f"/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund")
    assert "6222021234567890123" not in call["body"]
    assert "王小明" not in call["body"]
    assert "6222021234567890123" not in repr(card)


def test_a_refund_that_is_not_abnormal_is_not_sent_elsewhere(sandbox):
    refund_id, refund_no = abnormal_refund(sandbox)
    pay_client().refund_abnormal_apply(refund_id, out_refund_no=refund_no)
    sandbox.settle_refund(refund_no)

    with pytest.raises(WeChatRefused):
        pay_client().refund_abnormal_apply(refund_id, out_refund_no=refund_no)


@pytest.fixture
def yesterday(sandbox):
    """Noon in Beijing, and a day before it in whose book two payments and a refund stand."""
    today = datetime.now(BEIJING).date()
    day = today - timedelta(days=1)
    sandbox.set_clock(datetime(today.year, today.month, today.day, 12, tzinfo=BEIJING).isoformat())
    rows = [
        {
            "out_trade_no": "order-0001",
            "amount_fen": 10000,
            "description": "《课程》,上册",
            "refunds": [{"out_refund_no": "refund-01", "amount_fen": 4000}],
        },
        {"out_trade_no": "order-0002", "amount_fen": 1, "trade_type": "NATIVE"},
    ]
    sandbox.seed_bill(day.isoformat(), rows)
    return day


def test_a_days_trade_bill_is_fetched_and_agrees_with_itself(sandbox, yesterday):
    bill = pay_client().trade_bill(yesterday)

    rows = {row.out_refund_no or row.out_trade_no: row for row in bill}
    assert bill.count == 3
    assert set(rows) == {"order-0001", "order-0002", "refund-01"}
    assert (rows["order-0001"].order_fen, rows["order-0001"].is_refund) == (10000, False)
    # 0.6% of 100 yuan is 60 fen; of 40 yuan that go back, 24
    assert (rows["order-0001"].fee_fen, rows["refund-01"].fee_fen) == (60, -24)
    assert (rows["refund-01"].refund_fen, rows["refund-01"].is_refund) == (4000, True)
    assert rows["order-0002"].trade_type == "NATIVE"
    assert all(row.at.astimezone(BEIJING).date() == yesterday for row in rows.values())
    assert all(row.mchid == pay_client().mchid for row in rows.values())
    (file,) = sandbox.calls(FILES)
    assert file["status"] == 200


def test_a_days_fund_bill_is_fetched_and_agrees_with_itself(sandbox, yesterday):
    rows = list(pay_client().fund_bill(yesterday))

    moved = {(row.business_type, row.is_income, row.amount_fen) for row in rows}
    assert {("交易", True, 10000), ("交易", True, 1), ("扣除交易手续费", False, 60)} <= moved
    assert ("退款", False, 3976) in moved  # less the 24 fen of fee that come back


def test_a_day_without_trades_is_an_empty_bill(sandbox, yesterday):
    bill = pay_client().trade_bill(yesterday - timedelta(days=9))

    assert (bill.count, list(bill)) == (0, [])


def test_a_bill_that_is_still_made_is_not_now(sandbox, yesterday):
    today = yesterday + timedelta(days=1)
    morning = datetime(today.year, today.month, today.day, 9, tzinfo=BEIJING)
    sandbox.set_clock(morning.isoformat())

    with pytest.raises(WeChatNotNow) as later:
        pay_client().trade_bill(yesterday)

    assert later.value.wechat_code == "STATEMENT_CREATING"


@pytest.mark.parametrize(
    "kind", ["corrupt_bill", "corrupt_bill:cut", "corrupt_bill:reset", "expired_url"]
)
def test_a_file_that_did_not_come_whole_is_asked_for_once_more(sandbox, yesterday, kind):
    sandbox.fault(kind, on="api", count=1)

    assert pay_client().trade_bill(yesterday).count == 3

    assert len(sandbox.calls(OFFER)) == 2  # by a new address
    assert len(sandbox.calls(FILES)) == 2


@pytest.mark.parametrize("kind", ["corrupt_bill", "corrupt_bill:cut", "expired_url"])
def test_a_file_that_never_comes_whole_is_uncertain(sandbox, yesterday, kind):
    sandbox.fault(kind, on="api")

    with pytest.raises(WeChatUncertain):
        pay_client().trade_bill(yesterday)

    assert len(sandbox.calls(FILES)) == 2


def test_planted_differences_do_not_make_a_bill_wrong(sandbox, yesterday):
    sandbox.plant(yesterday.isoformat(), drop=["order-0002"], amounts={"order-0001": 9999})

    rows = {
        row.out_refund_no or row.out_trade_no: row for row in pay_client().trade_bill(yesterday)
    }

    assert set(rows) == {"order-0001", "refund-01"}
    assert rows["order-0001"].order_fen == 9999
