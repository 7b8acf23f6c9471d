"""Operators see all of the money and change none of it."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from kernel import clock
from kernel.models import StaffAction
from payments.ledger import Side, post
from payments.models import (
    BillRow,
    ChannelRule,
    Discrepancy,
    GroupOffer,
    LineShare,
    Product,
    Reconciliation,
    RefundLine,
    RefundPolicy,
    ShareRule,
)
from payments.services.gifts import gift_order
from payments.services.groups import group_start
from payments.services.invoices import invoice_request
from payments.services.notices import other_notice
from payments.services.refunds import stray_refund
from tests.payments.conftest import attempt, pay

pytestmark = pytest.mark.django_db

MODELS = sorted(apps.get_app_config("payments").get_models(), key=lambda m: m.__name__)
EDITABLE = {"Product", "Plan", "ChannelRule", "RefundPolicy", "ShareRule", "GroupOffer"}


def billed(payment):
    """The day's bill with one row that differs."""
    day = Reconciliation.objects.create(channel="wechat", date=clock.local_date(), rows=1)
    row = {"reconciliation": day, "number": payment.out_trade_no}
    BillRow.objects.create(kind="payment", amount_fen=9800, status="SUCCESS", **row)
    Discrepancy.objects.create(
        kind="amount", subject="payment", ours_fen=9900, theirs_fen=9800, **row
    )


@pytest.fixture
def office(buyer, course, plan, bundle, pending):
    """An operator's browser, in a shop where one of everything has happened."""
    order = pending(course(price_fen=9900))
    payment = pay(order)
    refund = stray_refund(order=order, payment=payment, cause="late_payment")
    RefundLine.objects.create(refund=refund, line=order.lines.get(), amount_fen=9900)
    other_notice(event_id="1", event_type="COMPLAINT.CREATE", body=b'{"id":"1"}')
    post(kind="share", ref="1", sides=[Side("creator_payable:7", -300), Side("revenue", 300)])
    ChannelRule.objects.create(platform="h5", channel="jsapi", allowed=False)
    attempt(pending(plan().product))
    billed(payment)
    RefundPolicy.objects.create(kind="course", full_days=14)
    ShareRule.objects.create(scope="course:1", payee="7", share_bp=3000)
    LineShare.objects.create(line=order.lines.get(), payee="7", amount_fen=2970)
    sell(buyer, course, bundle)
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def sell(buyer, course, bundle):
    """A bundle, a paid gift, a group and a request for an invoice."""
    bundle(course(), course())
    gift = gift_order(user=buyer, product_id=course().pk, quantity=1, platform="android")
    pay(gift)
    offer = GroupOffer.objects.create(product=course(), price_fen=5000, size=2)
    group_start(user=buyer, offer_id=offer.pk, platform="android")
    invoice_request(
        user=buyer, no=gift.no, kind="personal", title="林小满", email="lin@example.com"
    )


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_every_table_has_a_list_that_opens_and_searches(office, model):
    name = f"admin:payments_{model._meta.model_name}_changelist"

    for query in ("", "?q=12345"):
        assert office.get(reverse(name) + query).status_code == 200


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_every_row_opens(office, model):
    name = f"admin:payments_{model._meta.model_name}_change"
    row = model.objects.order_by("pk")[0]

    assert office.get(reverse(name, args=[row.pk])).status_code == 200


@pytest.mark.parametrize(
    "model", [m for m in MODELS if m.__name__ not in EDITABLE], ids=lambda m: m.__name__
)
def test_money_is_read_only(rf, model):
    request = rf.get("/")
    request.user = User(is_staff=True, is_superuser=True)
    page = admin.site.get_model_admin(model)

    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)


def test_a_price_is_changed_in_the_admin_within_its_bounds(office):
    product = Product.objects.filter(kind="course", price_fen=9900).earliest("pk")
    address = reverse("admin:payments_product_change", args=[product.pk])
    form = {
        "title": "新名称", "list_fen": 9900, "price_fen": 5000, "channels": "jsapi,virtual",
        "member_scope": "membership:vip", "active": "on", "promo_from_0": "", "promo_from_1": "",
        "promo_until_0": "", "promo_until_1": "",
    }  # fmt: skip

    changed = office.post(address, form)
    refused = office.post(address, {**form, "price_fen": 10000})

    assert (changed.status_code, refused.status_code) == (302, 200)
    product.refresh_from_db()
    assert (product.title, product.price_fen) == ("新名称", 5000)


def test_an_operator_says_what_a_difference_was(office):
    row = Discrepancy.objects.get()
    address = f"/admin/payments/discrepancy/{row.pk}/close/"

    asked = office.get(address)
    row.refresh_from_db()
    assert (asked.status_code, row.state) == (200, "open")
    assert "请写明结论" in asked.content.decode()
    assert office.post(address, {"reason": " "}).status_code == 200
    told = office.post(address, {"reason": "商户平台已更正"}, follow=True)

    row.refresh_from_db()
    assert (row.state, row.repair, row.resolved_by.username) == ("closed", "商户平台已更正", "boss")
    action = StaffAction.objects.get(action="payments.discrepancy_close")
    assert (action.target, action.reason) == (f"payment:{row.number}", "商户平台已更正")
    assert "已标记为已处理" in told.content.decode()
    again = office.post(address, {"reason": "再次"}, follow=True)
    assert "已经处理" in again.content.decode()
    assert StaffAction.objects.filter(action="payments.discrepancy_close").count() == 1


def test_an_operator_has_a_day_reconciled_again(office):
    day = Reconciliation.objects.get()
    Reconciliation.objects.update(status="failed", tries=12, next_try_at=None)

    answer = office.post(
        reverse("admin:payments_reconciliation_changelist"),
        {"action": "again", "_selected_action": [day.pk]},
        follow=True,
    )

    day.refresh_from_db()
    assert "1 天已重新排队" in answer.content.decode()
    assert (day.status, day.tries, day.next_try_at <= clock.now()) == ("due", 0, True)
    assert StaffAction.objects.get(action="payments.reconcile_again").user.username == "boss"


def test_a_day_leads_to_its_rows_and_differences(office):
    day = Reconciliation.objects.get()

    page = office.get(reverse("admin:payments_reconciliation_changelist")).content.decode()

    for address in (
        f"/admin/payments/billrow/?reconciliation__id__exact={day.pk}",
        f"/admin/payments/discrepancy/?reconciliation__id__exact={day.pk}&state__exact=open",
    ):
        assert address.replace("&", "&amp;") in page
        assert office.get(address).context["cl"].result_count == 1
