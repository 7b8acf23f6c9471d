"""Every admin page answers, for everybody who may see it, in a fixed number of queries."""

from importlib import import_module

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import roles
from kernel.admin import ModelAdmin as HouseAdmin
from tests.dashboard.everything import fill

pytestmark = pytest.mark.django_db

HOUSE = {path.parent.name for path in settings.BASE_DIR.glob("*/apps.py")}
# Shown inside another page, or never: secrets and counters say nothing to a person.
WITHOUT_PAGE = {
    "accounts.accesstoken": "a hash",
    "accounts.refreshtoken": "a hash",
    "wechat.platformtoken": "an encrypted secret",
    "kernel.ratecounter": "swept away within minutes; its key is composite",
    "content.lesson": "inline of its course",
    "experiments.arm": "inline of its experiment",
    "feedback.progresssession": "inline of its lesson progress",
    "recommender.batchshard": "inline of its batch",
}
import_module("kpay_site.admin_urls")  # pages are registered when the admin is first opened
PAGES = sorted(
    (model for model in admin.site._registry if model._meta.app_label in HOUSE | {"auth"}),
    key=lambda model: model._meta.label,
)
APPS = sorted({model._meta.app_label for model in PAGES})
each_app = pytest.mark.parametrize("app", APPS)
# Facts of money and points: no role may add, change or delete a row by hand.
MONEY = [
    *("payments.order", "payments.orderline", "payments.payment", "payments.refund"),
    *("payments.refundline", "payments.entitlement", "payments.journal", "payments.entry"),
    *("payments.ledgeraccount", "payments.platformevent", "payments.eventhandling"),
    *("payments.reconciliation", "payments.billrow", "payments.discrepancy"),
    *("payments.group", "payments.gift", "payments.invoice", "payments.bundleitem"),
    *("payments.effect", "payments.quote", "incentives.coupon", "incentives.pointswallet"),
    *(
        "incentives.pointclawback",
        "incentives.pointlot",
        "incentives.pointentry",
        "incentives.redeemuse",
    ),
]


def _page(model: type[Model], kind: str, *args: object) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{kind}", args=args)


def test_every_model_of_the_house_has_a_page_or_a_reason():
    without = {
        model._meta.label_lower
        for model in apps.get_models()
        if model._meta.app_label in HOUSE and model not in admin.site._registry
    }

    assert without == set(WITHOUT_PAGE)


def _pages_of(app: str) -> list[type[Model]]:
    return [model for model in PAGES if model._meta.app_label == app]


@each_app
def test_lists_answer_with_rows_in_a_fixed_number_of_queries(app, signed_in):
    browser = signed_in("root")
    fill(1)
    few = {model: _queries_of_list(browser, model) for model in _pages_of(app)}
    for number in (2, 3, 4):
        fill(number)

    many = {model: _queries_of_list(browser, model) for model in _pages_of(app)}

    grown = {model._meta.label: (few[model], many[model]) for model in few}
    assert {label: pair for label, pair in grown.items() if pair[1] > pair[0]} == {}


def _queries_of_list(browser: Client, model: type[Model]) -> int:
    with CaptureQueriesContext(connection) as queries:
        page = browser.get(_page(model, "changelist"))
    assert page.status_code == 200, model
    assert page.context["cl"].result_count >= 1, model
    return len(queries)


@each_app
def test_rows_open_and_lists_take_any_search_text(app, signed_in):
    browser = signed_in("root")
    fill(1)

    for model in _pages_of(app):
        row = model._default_manager.order_by("-pk").first()
        assert browser.get(_page(model, "change", row.pk)).status_code == 200, model
        for text in ("摄影", "12", "%'\"\\", "0" * 40):
            page = browser.get(_page(model, "changelist"), {"q": text})
            assert page.status_code == 200, (model, text)


@each_app
def test_a_nul_in_the_address_is_a_page_that_says_no(app, signed_in):
    browser = signed_in("root")
    for model in _pages_of(app):
        page = browser.get(f"{_page(model, 'changelist')}?status__exact=%00")
        assert page.status_code == 400, model
        assert "地址有误" in page.content.decode()


@each_app
def test_a_new_row_has_a_form_where_rows_are_made_by_hand(app, signed_in):
    browser = signed_in("root")

    for model in _pages_of(app):
        page = browser.get(_page(model, "add"))
        addable = admin.site._registry[model].has_add_permission(page.wsgi_request)
        assert page.status_code == (200 if addable else 403), model


# Short tables of the shop's own making: nothing to narrow, or one row.
FEW_ROWS = {
    *("auth.group", "content.category", "content.tag", "content.creator"),
    *("kernel.heartbeat", "payments.ledgeraccount", "payments.channelrule"),
    *("payments.refundline", "recommender.servingpointer", "recommender.tagdeletion"),
    "payments.bundleitem",
}


def test_lists_can_be_searched_and_narrowed():
    for model in PAGES:
        page, label = admin.site._registry[model], model._meta.label_lower
        assert isinstance(page, HouseAdmin), label
        searchless = {"recommender.servingpointer", "payments.channelrule"}
        assert page.search_fields or label in searchless, label
        assert page.list_filter or label in FEW_ROWS, label


@pytest.mark.parametrize("role", roles.NAMES)
def test_a_role_opens_each_list_it_may_view_and_no_other(role, signed_in):
    browser = signed_in(role)
    fill(1)
    granted = next(row.grants for row in roles.ROLES if row.name == role)

    for model in PAGES:
        label = model._meta.label_lower
        may = "view" in granted.get(label, granted.get(model._meta.app_label, ()))
        answer = browser.get(_page(model, "changelist"))
        assert answer.status_code == (200 if may else 403), label


def test_a_refused_operator_reads_a_page_in_chinese(signed_in):
    answer = signed_in("editor").get("/admin/payments/order/")

    assert answer.status_code == 403
    assert answer["Content-Type"].startswith("text/html")
    assert "您的角色不能查看这个页面" in answer.content.decode()


def test_an_unknown_page_of_the_admin_is_told_in_chinese(signed_in):
    answer = signed_in("root").get("/admin/payments/nothing/here/")

    assert answer.status_code == 404
    assert "没有这个页面" in answer.content.decode()


@pytest.mark.parametrize("role", [*roles.NAMES, "root"])
def test_nobody_writes_money_by_hand(role, signed_in):
    browser = signed_in(role)
    fill(1)

    for label in MONEY:
        model = apps.get_model(label)
        row = model._default_manager.values().first()
        pk = row[model._meta.pk.attname]
        added = browser.post(_page(model, "add"), {})
        changed = browser.post(_page(model, "change", pk), {"amount_fen": 1, "_save": "1"})
        deleted = browser.post(_page(model, "delete", pk), {"post": "yes"})
        answers = (added.status_code, changed.status_code, deleted.status_code)
        assert answers == (403, 403, 403), label
        assert model._default_manager.filter(pk=pk).values().get() == row, label


def test_a_learner_is_sent_to_the_login_page(signed_in):
    browser = signed_in("learner")

    for url in ("/admin/", *(_page(model, "changelist") for model in PAGES)):
        answer = browser.get(url)
        assert answer.status_code == 302, url
        assert answer.url.startswith("/admin/login/")
