"""The client of virtual payment against the sandbox over HTTP."""

from datetime import timedelta

import pytest
from django.db import transaction

from kernel import clock
from kernel.ids import new_no
from wechat.errors import WeChatBillWrong, WeChatRefused, WeChatUncertain
from wechat.mp import mp_client
from wechat.xpay import (
    LEFT_CHANGED,
    SESSION_GONE,
    Goods,
    ItemStatus,
    OrderStatus,
    OrderType,
    SettlementOnly,
    TaskStatus,
    xpay_client,
)
from wechat.xpay.bills import read_rows
from wechat_sandbox.client import SandboxRefusedError

ITEM = "course_12"


@pytest.fixture(autouse=True)
def _no_transaction(db):
    """The guard of every client method looks at the connection."""


@pytest.fixture
def buyer(sandbox):
    """A user whose session key we have, and an item on sale for 99 yuan."""
    person = sandbox.user()
    sandbox.virtual_item(ITEM, 9900)
    session = mp_client().code_to_session(sandbox.login_code(person["openid"]))
    return person | {"session_key": session.session_key}


def params(buyer, number, **changes):
    values = {
        "out_trade_no": number,
        "product_id": ITEM,
        "price_fen": 9900,
        "quantity": 1,
        "session_key": buyer["session_key"],
        "attach": "课程",
    }
    return xpay_client().client_params(**{**values, **changes})


def paid(sandbox, buyer, **fields):
    number = new_no()
    sandbox.virtual_pay(buyer["openid"], params(buyer, number), notify=False, **fields)
    return number


def query(buyer, number):
    return xpay_client().query_order(openid=buyer["openid"], out_trade_no=number)


def refund(buyer, number, refund_no, *, left_fen=9900, refund_fen=9900):
    return xpay_client().refund_order(
        openid=buyer["openid"],
        out_trade_no=number,
        out_refund_no=refund_no,
        left_fen=left_fen,
        refund_fen=refund_fen,
        reason="不想学了",
        by_staff=True,
    )


def test_an_order_is_unknown_then_paid_then_delivered(sandbox, buyer):
    number = new_no()
    assert query(buyer, number) is None

    sandbox.virtual_pay(buyer["openid"], params(buyer, number), notify=False)
    order = query(buyer, number)
    xpay_client().provide_goods(out_trade_no=number)
    xpay_client().provide_goods(out_trade_no=number)

    assert (order.status, order.order_type) == (OrderStatus.PAID, OrderType.PAYMENT)
    assert (order.order_fen, order.paid_fen, order.left_fen) == (9900, 9900, 9900)
    assert order.env == xpay_client().env == 0
    assert (order.is_apple, order.platform) == (False, "android")
    assert order.wx_order_id
    assert order.wxpay_order_id
    assert abs(order.paid_at - clock.now()) < timedelta(seconds=30)
    assert order.provided_at is None
    delivered = query(buyer, number)
    assert delivered.status is OrderStatus.DELIVERED
    assert delivered.provided_at is not None


def test_a_cancelled_payment_leaves_an_order_that_waits(sandbox, buyer):
    assert query(buyer, paid(sandbox, buyer, outcome="cancel")).status is OrderStatus.CREATED


def test_another_persons_order_is_refused(sandbox, buyer):
    number = paid(sandbox, buyer)

    with pytest.raises(WeChatRefused) as refused:
        query(sandbox.user(), number)

    assert refused.value.wechat_code == "268490001"


def test_part_of_an_order_is_refunded_once(sandbox, buyer):
    number, refund_no = paid(sandbox, buyer), new_no()
    sandbox.settings(xpay_hold_refunds=True)

    taken = refund(buyer, number, refund_no, refund_fen=900)
    again = refund(buyer, number, refund_no, refund_fen=900)
    sandbox.virtual_refund(refund_no, wait=False)

    assert (taken.out_refund_no, taken.repeated) == (refund_no, False)
    assert taken.wx_refund_id
    assert (again.out_refund_no, again.repeated) == (refund_no, True)
    ended = query(buyer, refund_no)
    assert (ended.order_type, ended.refund_fen) == (OrderType.REFUND, 900)
    assert (ended.status, ended.meta) == (OrderStatus.REFUNDED, "不想学了")
    assert query(buyer, number).left_fen == 9000


def test_what_is_left_must_be_what_the_platform_says(sandbox, buyer):
    number = paid(sandbox, buyer)

    with pytest.raises(WeChatRefused) as refused:
        refund(buyer, number, new_no(), left_fen=9000, refund_fen=900)

    assert refused.value.wechat_code == LEFT_CHANGED


def test_a_refund_may_read_done_and_fail_later(sandbox, buyer):
    number, refund_no = paid(sandbox, buyer), new_no()
    xpay_client().provide_goods(out_trade_no=number)
    sandbox.settings(xpay_hold_refunds=True)
    refund(buyer, number, refund_no)
    assert query(buyer, number).status is OrderStatus.REFUNDED

    sandbox.virtual_refund(refund_no, "fail", wait=False)

    assert query(buyer, refund_no).status is OrderStatus.REFUND_FAILED
    assert query(buyer, number).status is OrderStatus.DELIVERED


def test_an_order_of_apple_says_so_and_is_not_refunded_by_us(sandbox, buyer):
    number = paid(sandbox, buyer, platform="ios")

    order = query(buyer, number)
    with pytest.raises(WeChatRefused):
        refund(buyer, number, new_no())

    assert (order.order_type, order.platform) == (OrderType.APPLE_PAYMENT, "ios")
    assert order.wxpay_order_id == ""


def test_an_answer_lost_after_the_refund_is_uncertain_and_the_same_number_tells(sandbox, buyer):
    number, refund_no = paid(sandbox, buyer), new_no()
    sandbox.settings(xpay_hold_refunds=True)
    sandbox.fault("reset_after_effect", on="api", path="/xpay/refund_order", count=1)

    with pytest.raises(WeChatUncertain):
        refund(buyer, number, refund_no, refund_fen=900)

    assert len(sandbox.calls("/xpay/refund_order")) == 1
    assert refund(buyer, number, refund_no, refund_fen=900).repeated


def test_a_query_is_repeated_once_and_no_more(sandbox, buyer):
    number = paid(sandbox, buyer)
    sandbox.fault("http_500", on="api", path="/xpay/query_order", count=1)
    assert query(buyer, number).status is OrderStatus.PAID
    sandbox.fault("http_500", on="api", path="/xpay/query_order")
    before = sandbox.last_call()

    with pytest.raises(WeChatUncertain):
        query(buyer, number)

    assert len(sandbox.calls("/xpay/query_order", since=before)) == 2


def test_a_session_key_that_was_renewed_is_refused_at_the_client(sandbox, buyer):
    number = new_no()
    old = params(buyer, number)
    code = sandbox.login_code(buyer["openid"], rotate_session_key=True)
    fresh = mp_client().code_to_session(code).session_key
    with pytest.raises(SandboxRefusedError, match="409"):
        sandbox.virtual_pay(buyer["openid"], old, notify=False)

    new = params(buyer, number, session_key=fresh)

    assert sandbox.virtual_pay(buyer["openid"], new, notify=False)["errCode"] == 0
    assert SESSION_GONE == "268490009"  # what server calls say of the same


def test_items_are_uploaded_and_published_before_they_sell(sandbox):
    client = xpay_client()
    item = Goods("course_77", "系统课程", 19900, "年度会员", "https://shop.example/77.png")
    assert client.query_upload_goods().status is TaskStatus.NONE
    sandbox.settings(xpay_goods_seconds=0)

    client.upload_goods([item])
    client_task = _ended(client.query_upload_goods)
    client.publish_goods([item.id, "course_unknown"])
    published = _ended(client.query_publish_goods)

    assert client_task.status is TaskStatus.DONE
    assert [(i.id, i.status) for i in client_task.items] == [("course_77", ItemStatus.DONE)]
    assert published.status is TaskStatus.FAILED  # in part
    assert [(i.id, i.status) for i in published.items] == [
        ("course_77", ItemStatus.DONE),
        ("course_unknown", ItemStatus.FAILED),
    ]
    assert published.items[1].said


def _ended(ask):
    for _ in range(100):
        task = ask()
        if task.status is not TaskStatus.RUNNING:
            break
    return task


def test_a_bill_is_made_then_read(sandbox, buyer):
    number, refund_no = paid(sandbox, buyer), new_no()
    apple = paid(sandbox, buyer, platform="ios")
    sandbox.settings(xpay_hold_refunds=True, xpay_bill_today=True)
    refund(buyer, number, refund_no, refund_fen=900)
    sandbox.virtual_refund(refund_no, wait=False)
    client, today = xpay_client(), clock.local_date()

    assert client.bill_url(today, today) is None
    rows = client.bill_rows(client.bill_url(today, today))

    by_number = {row.out_refund_no or row.out_trade_no: row for row in rows}
    assert set(by_number) == {number, apple, refund_no}
    bought, back = by_number[number], by_number[refund_no]
    assert (bought.paid_fen, bought.platform_fee_fen, bought.is_apple) == (9900, 99, False)
    assert (by_number[apple].platform_fee_fen, by_number[apple].is_apple) == (1188, True)
    assert (back.is_refund, back.refund_fen, back.platform_fee_fen) == (True, 900, -9)
    assert back.out_trade_no == number
    assert bought.openid == buyer["openid"]
    assert abs(bought.at - clock.now()) < timedelta(seconds=30)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://bill.example.com/x.csv",
        "https://weixin.qq.com.evil.example/x",
        "http://mp.weixin.qq.com/x",
        "file:///etc/passwd",
    ],
)
def test_a_bill_is_fetched_from_the_platform_alone(url):
    with pytest.raises(WeChatUncertain):
        xpay_client().bill_rows(url)


def test_an_address_that_is_over_is_uncertain(sandbox):
    base = mp_client().platform.config.base_url

    with pytest.raises(WeChatUncertain):
        xpay_client().bill_rows(f"{base}/xpay/bill_files/nothing.csv")


def test_a_workbook_of_daily_settlements_tells_of_no_orders():
    with pytest.raises(SettlementOnly):
        list(read_rows(b"PK\x03\x04\x14\x00"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a,b\n1,2\n", b'row_type,"x\n'])
def test_a_file_that_is_no_bill_is_wrong(content):
    with pytest.raises(WeChatBillWrong):
        list(read_rows(content))


@pytest.mark.django_db(transaction=True)
def test_nothing_is_asked_inside_a_transaction(sandbox):
    with pytest.raises(RuntimeError), transaction.atomic():
        xpay_client().provide_goods(out_trade_no=new_no())

    assert sandbox.calls("/xpay") == []
