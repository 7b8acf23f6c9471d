"""What the finance staff see: accounts, the trial balance, reconciliation, an order's story."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.models import User
from kernel import clock
from payments.ledger import Side, post
from payments.models import BillRow, Discrepancy, Order, Reconciliation
from payments.services import order_make, product_publish
from tests.dashboard.lived import lived
from tests.payments.conftest import make_buyer, pay

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def order(live_server: Any) -> Order:
    """A learner's order that has seen a lot, and a few sales around it."""
    products = [
        product_publish(
            scope=f"course:{n}",
            title=title,
            kind="course",
            price_fen=9_900,
            list_fen=12_900,
            channels=["jsapi"],
        )
        for n, title in enumerate(("手机摄影三十讲：从会拍到拍好", "职场写作：让别人愿意读完"))
    ]
    buyer = make_buyer("oFinance")
    User.objects.filter(pk=buyer.pk).update(nickname="林小满")
    items = [{"product_id": product.pk, "quantity": 1} for product in products]
    made = order_make(user=buyer, items=items, platform="android")
    lived(made)
    for number in range(30):
        other = make_buyer(f"oOther{number}")
        pay(order_make(user=other, items=items[:1], platform="android"))
    sides = [Side("creator_share", 4_950), Side("creator_payable:1", -4_950)]
    with transaction.atomic():
        post(kind="share", ref=made.no, sides=sides)
    _bills()
    return made


def _bills() -> None:
    today = clock.local_date()
    for n, status in enumerate(("failed", "due", "done", "done", "done"), start=1):
        day, _made = Reconciliation.objects.update_or_create(
            channel="wechat",
            date=today - timedelta(days=n),
            defaults={
                "status": status,
                "rows": 1_204 if status == "done" else 0,
                "matched": 1_200 if status == "done" else 0,
                "done_at": clock.now() if status == "done" else None,
                "last_error": "WeChatNotNow STATEMENT_CREATING" if status != "done" else "",
            },
        )
        if status != "done":
            continue
        row = {"reconciliation": day, "number": f"2026112000000000000000{n:02d}"}
        BillRow.objects.create(kind="payment", amount_fen=9_900, fee_fen=59, **row)
        Discrepancy.objects.create(
            subject="payment", kind="theirs_only", theirs_fen=9_900, theirs_status="SUCCESS",
            state="open" if n == 3 else "repaired",
            repair="我方没有这个单号，请核实来源" if n == 3 else "已向平台查询并入账", **row,
        )  # fmt: skip


@pytest.fixture
def boss(order: Order) -> str:
    """The session of the shop's owner."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss", nickname="店长"))
    return client.cookies["sessionid"].value


def test_the_story_of_an_order_is_read_and_narrowed(
    order: Order, boss: str, browse: Callable[..., Any]
):
    visit = browse(boss)
    page = visit.open(f"/admin/orders/{order.pk}/story/")

    whole = page.locator("[data-moment]:visible").count()
    visit.picture("story")
    page.click("[data-part-button=books]")
    page.locator("[data-moment]:not([data-part=books])").last.wait_for(state="hidden")

    assert whole > 15
    books = page.locator("[data-moment]:visible")
    assert 0 < books.count() < whole
    assert "渠道资金 · jsapi" in books.first.inner_text()
    visit.assert_clean()


def test_an_accounts_statement_leads_to_the_order(
    order: Order, boss: str, browse: Callable[..., Any]
):
    visit = browse(boss)
    page = visit.open("/admin/finance/statement/?account=cash")
    visit.picture("statement")

    closing = page.inner_text("[data-sum='3']")
    assert "¥" in closing
    visit.follow(f"[data-lines] a:text('{order.no}') >> nth=0")
    assert f"/admin/orders/{order.pk}/story/" in page.url
    visit.assert_clean()


def test_the_trial_balance_agrees(order: Order, boss: str, browse: Callable[..., Any]):
    visit = browse(boss)
    page = visit.open("/admin/finance/trial-balance/")
    visit.picture("trial-balance")

    assert page.inner_text("[data-debit]") == page.inner_text("[data-credit]") != "¥0.00"
    visit.assert_clean()


def test_a_day_with_differences_leads_to_them(order: Order, boss: str, browse: Callable[..., Any]):
    visit = browse(boss)
    page = visit.open("/admin/payments/reconciliation/")
    visit.picture("reconciliation")

    visit.follow("#result_list .field-open_link a >> nth=0")

    assert page.locator("#result_list tbody tr").count() == 1
    assert "我方没有这个单号" in page.content()
    visit.picture("discrepancy")
    visit.assert_clean()
