"""Pushes as the sandbox sends them, read by the adapter; its answers as the sandbox takes them."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from kernel.ids import new_no
from wechat.mp import mp_client
from wechat.push import verify_and_parse
from wechat.xpay import (
    OrderStatus,
    Provided,
    answer_apple,
    answer_ok,
    answer_retry,
    is_apple_question,
    is_xpay,
    parse_apple_question,
    parse_deliver,
    parse_refund_notify,
    xpay_client,
)

ITEM = "course_12"


class Door:
    """Where the product's message server would be: `answer` decides, `pushes` are kept."""

    def __init__(self):
        self.pushes = []
        self.answer = answer_ok
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                query = dict(parse_qsl(urlsplit(self.path).query))
                push = verify_and_parse("mp", query, body)
                door.pushes.append(push)
                reply = door.answer(push)
                self.send_response(200)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def door(sandbox):
    opened = Door()
    sandbox.settings(push_target=opened.address)
    yield opened
    opened.stop()


@pytest.fixture(params=["json", "xml"])
def form(request, sandbox):
    sandbox.settings(mp_push_xml=request.param == "xml")
    return request.param


@pytest.fixture
def buyer(sandbox, db):
    person = sandbox.user()
    sandbox.virtual_item(ITEM, 9900)
    session = mp_client().code_to_session(sandbox.login_code(person["openid"]))
    return person | {"session_key": session.session_key}


def pay(sandbox, buyer, **fields):
    number = new_no()
    params = xpay_client().client_params(
        out_trade_no=number,
        product_id=ITEM,
        price_fen=9900,
        quantity=1,
        session_key=buyer["session_key"],
        attach="课程",
    )
    return number, sandbox.virtual_pay(buyer["openid"], params, **fields)


def query(buyer, number):
    return xpay_client().query_order(openid=buyer["openid"], out_trade_no=number)


def test_a_payment_is_pushed_read_and_taken(sandbox, buyer, door, form):
    number, placed = pay(sandbox, buyer)

    (push,) = door.pushes
    paid, order = parse_deliver(push), query(buyer, number)
    assert is_xpay(push)
    assert (push.form, push.encrypted) == (form, True)
    assert (paid.out_trade_no, paid.openid, paid.env) == (number, buyer["openid"], 0)
    assert (paid.product_id, paid.quantity, paid.attach) == (ITEM, 1, "课程")
    assert (paid.orig_price_fen, paid.actual_price_fen) == (9900, 9900)
    assert paid.transaction_id == order.wxpay_order_id
    assert paid.paid_at == order.paid_at
    assert order.status is OrderStatus.DELIVERED
    assert placed["push"]["state"] == "accepted"


def test_a_payment_that_was_not_taken_is_pushed_again(sandbox, buyer, door, form):
    door.answer = lambda push: answer_retry(push, "稍后")
    number, placed = pay(sandbox, buyer)
    assert placed["push"]["state"] == "pending"
    assert query(buyer, number).status is OrderStatus.DELIVERING
    door.answer = answer_ok

    sandbox.advance(3600)

    assert len(door.pushes) >= 2
    assert {parse_deliver(push).out_trade_no for push in door.pushes} == {number}
    assert len({push.dedupe_key for push in door.pushes}) == 1
    assert query(buyer, number).status is OrderStatus.DELIVERED


@pytest.mark.parametrize(("outcome", "succeeded"), [("success", True), ("fail", False)])
def test_a_refunds_end_is_pushed_and_read(sandbox, buyer, door, form, outcome, succeeded):
    number, _ = pay(sandbox, buyer)
    refund_no = new_no()
    sandbox.settings(xpay_hold_refunds=True)
    taken = xpay_client().refund_order(
        openid=buyer["openid"],
        out_trade_no=number,
        out_refund_no=refund_no,
        left_fen=9900,
        refund_fen=900,
        reason="",
        by_staff=False,
    )

    sandbox.virtual_refund(refund_no, outcome)

    ended = parse_refund_notify(door.pushes[-1])
    assert (ended.out_trade_no, ended.out_refund_no) == (number, refund_no)
    assert (ended.wx_refund_id, ended.openid) == (taken.wx_refund_id, buyer["openid"])
    assert (ended.refund_fen, ended.succeeded) == (900, succeeded)


@pytest.mark.parametrize(("agree", "said"), [(True, "agree"), (False, "refuse")])
def test_apples_question_is_read_and_our_advice_arrives(sandbox, buyer, door, form, agree, said):
    number, _ = pay(sandbox, buyer, platform="ios")
    assert parse_deliver(door.pushes[-1]).transaction_id == ""
    door.answer = lambda push: answer_apple(push, agree=agree, info="学完", evidence="进度 98%")

    heard = sandbox.apple_question(number, reason="误购")

    asked = parse_apple_question(door.pushes[-1])
    assert is_apple_question(door.pushes[-1])
    assert (asked.pay_order_id, asked.product_id) == (number, ITEM)
    assert (asked.reason, asked.provided) == ("误购", Provided.YES)
    assert (heard["answer"], heard["evidence"]) == (said, "进度 98%")


def test_money_that_apple_gave_back_is_told_without_a_number_of_ours(sandbox, buyer, door, form):
    number, _ = pay(sandbox, buyer, platform="ios")

    sandbox.apple_refund(number)

    ended = parse_refund_notify(door.pushes[-1])
    assert (ended.out_trade_no, ended.refund_fen, ended.succeeded) == (number, 9900, True)
    assert query(buyer, number).status is OrderStatus.REFUNDED
