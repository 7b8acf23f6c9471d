"""The admin's home page: what each role sees, and that every figure leads to its rows."""

import gettext as gettext_files
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import roles
from dashboard import waiting
from kernel import clock
from payments.models import Reconciliation, Refund
from recommender.models import TrainingRun
from tests.builders import make_learner
from tests.dashboard.everything import fill
from tests.dashboard.shop import make_course, make_event, make_order

pytestmark = pytest.mark.django_db


def _cards(page: Any) -> dict[str, Any]:
    return {card.key: card for card in page.context["cards"]}


def _rows_behind(browser: Any, url: str) -> int:
    answer = browser.get(url)
    assert answer.status_code == 200, url
    return int(answer.context["cl"].result_count)


def test_an_empty_shop_shows_zeros(signed_in):
    page = signed_in("root").get("/admin/")

    assert page.status_code == 200
    assert {key: card.value for key, card in _cards(page).items()} == {
        "orders": "0",
        "revenue": "¥0.00",
        "new": "0",
        "active": "0",
        "click_rate": "—",
    }
    assert {line.count for line in page.context["waiting"]} == {0}
    assert len(page.context["waiting"]) == len(waiting.KINDS) + 1
    assert "还没有上线的模型" in page.content.decode()


def test_figures_of_today_lead_to_exactly_their_rows(signed_in):
    browser = signed_in("root")
    now, course, request_id = clock.now(), make_course(), uuid.uuid4()
    long_ago = now - timedelta(days=3)
    lin = make_learner()
    make_learner(date_joined=long_ago)
    make_order(now, 9_900, user=lin)
    make_order(now, 20_000, 5_000, user=lin)
    make_order(long_ago, 1_000, user=lin)
    make_event(lin, "impression", now, course=course, request_id=request_id)
    make_event(lin, "impression", now, course=make_course(), request_id=request_id)
    make_event(lin, "click", now, course=course, request_id=request_id)
    make_event(lin, "impression", long_ago, course=course, request_id=request_id)

    page = browser.get("/admin/")

    cards = _cards(page)
    assert cards["orders"].value == "2"
    assert _rows_behind(browser, cards["orders"].url) == 2
    assert cards["revenue"].value == "¥249.00"
    assert cards["revenue"].note == "已退 ¥50.00"
    assert cards["new"].value == "1"
    assert _rows_behind(browser, cards["new"].url) == 1
    assert cards["active"].value == "1"
    assert _rows_behind(browser, cards["active"].url) == 3
    # The first impression of one of the two slots was three days ago.
    assert (cards["click_rate"].value, cards["click_rate"].note) == (
        "0.0%",
        "0 次点击 / 1 次曝光",
    )
    assert _rows_behind(browser, cards["click_rate"].url) == 2
    charts = {chart.key: chart for chart in page.context["charts"]}
    assert charts["revenue"].total == "¥259.00"
    assert _rows_behind(browser, charts["revenue"].url) == 3
    assert list(charts["orders"].series[0].values) == [0, 0, 0, 1, 0, 0, 2]
    assert _rows_behind(browser, charts["learners"].url) == 2
    assert charts["click_rate"].total == "50.0%"


@pytest.mark.parametrize("days", [7, 30, 90])
def test_charts_cover_the_chosen_days(days, signed_in):
    page = signed_in("root").get("/admin/", {"days": days})

    for chart in page.context["charts"]:
        assert [len(series.values) for series in chart.series] == [days] * len(chart.series)


def _wait_for_the_office():
    """A refund without an answer, a bill that failed, one that is late and one that is not."""
    now, long_ago = clock.now(), clock.now() - timedelta(hours=2)
    Refund.objects.filter(out_refund_no="R1").update(next_check_at=now, created_at=long_ago)
    days = {"failed": (5, None), "due": (3, now), "fetched": (1, now)}
    for status, (age, next_try_at) in days.items():
        Reconciliation.objects.create(
            channel="virtual", date=clock.local_date() - timedelta(days=age), status=status,
            next_try_at=next_try_at,
        )  # fmt: skip


def test_the_work_queue_counts_what_its_links_show(signed_in):
    browser = signed_in("root")
    fill(1)
    fill(2)
    TrainingRun.objects.create(status="rejected")
    TrainingRun.objects.create(status="failed", created_at=clock.now() - timedelta(days=8))
    make_course(status="review", published_at=None)
    _wait_for_the_office()

    lines = browser.get("/admin/").context["waiting"]

    counts = {str(line.label): line.count for line in lines}
    assert counts == {
        "支付通知需人工处理": 2,
        "退款异常": 0,
        "待审批退款": 0,
        "结果未知的支付": 0,
        "结果未知的退款": 1,
        "待处理的对账差异": 2,
        "对账失败": 1,
        "对账逾期": 1,
        "虚拟支付道具失败": 2,
        "发货未能上报": 0,
        "待开发票": 2,
        "待红冲发票": 0,
        "已放弃的内部事件": 2,
        "训练失败": 2,
        "训练发散": 0,
        "模型未通过评估": 1,
        "发送结果未知的消息": 2,
        "待审核课程": 1,
        "优惠券预算将尽": 2,
    }
    assert {str(line.label): _rows_behind(browser, line.url) for line in lines} == counts


def test_every_line_of_the_work_queue_says_what_it_counts():
    assert all(kind.meaning for kind in waiting.KINDS)


def test_the_serving_model_is_shown_beside_popular(signed_in):
    fill(1)

    page = signed_in("root").get("/admin/")

    model = page.context["model"]
    assert (model["name"], model["version"], model["lift"]) == ("ials", "v1", "+100%")
    assert [(bar["value"], bar["width"]) for bar in model["bars"]] == [
        ("0.1200", 100),
        ("0.0600", 50),
    ]


@pytest.mark.parametrize(
    ("role", "cards"),
    [
        ("owner", ["orders", "revenue", "new", "active", "click_rate"]),
        ("finance", ["orders", "revenue", "new", "active"]),
        ("editor", ["click_rate"]),
        ("service", ["orders", "revenue", "new", "active", "click_rate"]),
        ("analyst", ["click_rate"]),
    ],
)
def test_a_role_sees_figures_of_rows_it_may_view(role, cards, signed_in):
    fill(1)

    page = signed_in(role).get("/admin/")

    assert page.status_code == 200
    assert list(_cards(page)) == cards
    has_money = "¥" in page.content.decode()
    assert has_money == ("orders" in cards)


@pytest.mark.parametrize("role", [*roles.NAMES, "root"])
def test_every_link_that_a_role_sees_opens(role, signed_in):
    fill(1)
    browser = signed_in(role)
    page = browser.get("/admin/").content.decode()

    links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/admin/[^"]*)"', page)}
    refused = {link for link in links if browser.get(link).status_code not in (200, 405)}

    assert len(links) > 8
    assert refused == set()


def test_the_home_page_takes_a_fixed_number_of_queries(signed_in):
    browser = signed_in("root")
    fill(1)
    with CaptureQueriesContext(connection) as few:
        browser.get("/admin/")
    for number in (2, 3, 4):
        fill(number)

    with CaptureQueriesContext(connection) as many:
        browser.get("/admin/")

    assert len(many) == len(few)
    assert len(many) <= 20


def test_the_login_page_is_in_chinese(client, db):
    page = client.get("/admin/login/").content.decode()

    assert "KPay 运营后台" in page
    for foreign in ("Welcome", "Log in", "Password"):
        assert foreign not in page


def test_the_compiled_sentences_are_those_of_the_source():
    folder = settings.BASE_DIR / "dashboard" / "locale" / "zh_Hans" / "LC_MESSAGES"
    with (folder / "django.mo").open("rb") as file:
        compiled = gettext_files.GNUTranslations(file)._catalog
    source = (folder / "django.po").read_text(encoding="utf-8")

    said = dict(re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', source, flags=re.MULTILINE))

    assert len(said) > 50
    assert {key: compiled.get(key.replace('\\"', '"')) for key in said} == said
