"""One order, told in time order by every table that knows it, in a fixed number of queries."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kernel import staff
from payments.models import Order
from payments.services import order_end
from tests.dashboard.lived import give_back, lived
from tests.payments.conftest import buyer, course, pending  # noqa: F401

pytestmark = pytest.mark.django_db


def story(browser, order):
    return browser.get(f"/admin/orders/{order.pk}/story/")


def moments(page):
    return [moment for day in page.context["days"] for moment in day.moments]


def test_everything_is_told_in_time_order(signed_in, course, pending):  # noqa: F811
    order = pending(course(price_fen=9900))
    paid = lived(order)

    page = story(signed_in("root"), order)

    told = moments(page)
    assert page.status_code == 200
    assert [moment.at for moment in told] == sorted(moment.at for moment in told)
    titles = [moment.title for moment in told]
    wanted = (
        "下单", "发起支付", "发起支付", "平台通知 TRANSACTION.SUCCESS", "到账 ¥99.00", "记账：收款",
        "授予权益", "申请退款 ¥10.00", "记账：退款", "退款到账 ¥10.00", "平台账单", "对账差异",
        "申请发票 ¥89.00", "发票已开票", "人工操作 payments.look",
    )  # fmt: skip
    for title in wanted:
        assert any(each.startswith(title) for each in titles), (title, titles)
    sale = next(moment for moment in told if moment.title == "记账：收款")
    assert sale.sides == [("渠道资金 · jsapi", "¥99.00", ""), ("营业收入", "", "¥99.00")]
    came = next(moment for moment in told if moment.title.startswith("到账"))
    assert (came.actor, came.url) == ("微信", f"/admin/payments/payment/{paid.pk}/change/")
    closed = next(moment for moment in told if moment.title == "已人工处理")
    assert closed.actor == "会计"
    html = page.content.decode()
    assert html.count("data-moment") == len(told)
    assert "原价" in html


def test_an_order_that_was_never_paid_has_a_story_too(signed_in, course, pending):  # noqa: F811
    order = pending(course())
    order_end(order_id=order.pk, status="cancelled")

    titles = [moment.title for moment in moments(story(signed_in("root"), order))]

    assert titles == ["报价 ¥99.00", "下单，应付 ¥99.00", "订单已取消"]


def test_a_long_story_takes_as_many_queries_as_a_short_one(signed_in, course, pending):  # noqa: F811
    browser = signed_in("root")
    short, long = pending(course()), pending(course())
    lived(short)
    lived(long)
    for _ in range(4):
        give_back(long, 100)
        staff.record(by=long.user, action="look", target=f"order:{long.no}", reason="又来电")

    def queries(order):
        with CaptureQueriesContext(connection) as seen:
            page = story(browser, order)
        return len(seen), len(moments(page))

    few, one = queries(short)
    many, five = queries(long)
    assert (many, five > one + 12) == (few, True)
    assert many <= 36


def test_those_who_may_see_less_read_less(signed_in, course, pending):  # noqa: F811
    order = pending(course())
    lived(order)

    page = story(signed_in("service"), order)

    titles = {moment.title for moment in moments(page)}
    assert "订单支付完成" in titles
    assert not any(title.startswith(("人工操作", "内部事件")) for title in titles)
    assert story(signed_in("editor"), order).status_code == 403


def test_an_unknown_order_is_a_page_that_says_no(signed_in, db):
    answer = signed_in("root").get("/admin/orders/12345/story/")

    assert answer.status_code == 404
    assert "没有这个页面" in answer.content.decode()
    assert Order.objects.count() == 0


def test_the_orders_page_leads_to_the_story(signed_in, course, pending):  # noqa: F811
    order = pending(course())
    browser = signed_in("service")

    page = browser.get(f"/admin/payments/order/{order.pk}/change/").content.decode()

    assert "订单全程" in page
    answer = browser.get(f"/admin/payments/order/{order.pk}/story/")
    assert answer.url == f"/admin/orders/{order.pk}/story/"
