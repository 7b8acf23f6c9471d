"""What an operator and a client's developer see in a real browser."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.browser.scene import COURSES, open_shop

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "correct-horse-9"


@pytest.fixture
def shop(live_server: Any) -> str:
    """A shop with ninety days behind it; returns the session of its superuser."""
    open_shop()
    user = User.objects.create_superuser("root", PASSWORD, nickname="店长")
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


def test_an_operator_signs_in_and_reads_the_home_page(shop: str, browse: Callable[..., Any]):
    visit = browse()
    page = visit.open("/admin/")
    visit.picture("login")
    page.fill("input[name=username]", "root")
    page.fill("input[name=password]", PASSWORD)
    page.click("#login-form button[type=submit]")
    page.wait_for_selector("[data-card=revenue]")
    page.wait_for_load_state("networkidle")

    orders = int(page.inner_text("[data-card=orders] [data-value]"))
    assert orders >= 0
    assert page.inner_text("[data-card=revenue] [data-value]").startswith("¥")
    assert page.inner_text("[data-panel=model]").count("NDCG@10") == 2
    assert COURSES[0][0] in page.inner_text("[data-panel=best]")
    assert page.locator("[data-waiting='1']").count() == 3
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('[data-chart] canvas')].map(canvas => {
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return [Chart.getChart(canvas).data.labels.length, pixels.data.some(value => value)];
        })"""
    )
    assert drawn == [[7, True]] * 4
    visit.picture("admin-home")
    visit.assert_clean()


def test_the_operator_chooses_ninety_days(shop: str, browse: Callable[..., Any]):
    visit = browse(shop)
    page = visit.open("/admin/")

    visit.follow("[data-days='90']")

    lengths = page.evaluate(
        "() => [...document.querySelectorAll('[data-chart] canvas')]"
        ".map(canvas => Chart.getChart(canvas).data.labels.length)"
    )
    assert lengths == [90] * 4
    visit.picture("admin-home-90")
    visit.assert_clean()


def test_a_figure_leads_to_the_orders_behind_it(shop: str, browse: Callable[..., Any]):
    visit = browse(shop)
    page = visit.open("/admin/")
    sold = int(page.inner_text("[data-chart=orders] a").replace(",", ""))

    visit.follow("[data-chart=orders] a")

    assert "/admin/payments/order/" in page.url
    assert page.locator("#result_list tbody tr").count() == min(sold, 50)
    visit.picture("orders")
    visit.assert_clean()


def test_a_training_run_shows_its_curves(shop: str, browse: Callable[..., Any]):
    visit = browse(shop)
    page = visit.open("/admin/recommender/trainingrun/")
    visit.picture("runs")
    visit.follow('#result_list tr:has-text("已上线") th a')

    assert page.locator("svg polyline").count() == 2
    assert "0.1312" in page.content()
    visit.picture("run")
    visit.assert_clean()


def test_the_api_documents_list_the_operations(browse: Callable[..., Any]):
    visit = browse()
    page = visit.open("/api/docs/")
    page.wait_for_selector(".opblock")

    paths = page.locator(".opblock-summary-path").all_inner_texts()

    told = {path.replace("\u200b", "").strip() for path in paths}
    assert len(told) > 30
    assert {"/api/v1/auth/wechat/login", "/api/v1/feed", "/api/v1/orders"} <= told
    visit.picture("docs")
    visit.assert_clean()
