"""Finance pages read the journal: opening + debit + credit = closing, and all accounts sum to 0."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.periods import Period
from dashboard.statement import statement, trial_balance
from payments.ledger import Side, post
from payments.models import Journal, Payment
from tests.dashboard.shop import local, make_order

pytestmark = pytest.mark.django_db

URL = "/admin/finance/statement/"


def book(kind, ref, at, **sides):
    """A journal of November; `cash_jsapi` stands for cash:jsapi."""
    journal = post(
        kind=kind,
        ref=ref,
        sides=[Side(name.replace("__", ":"), fen) for name, fen in sides.items()],
    )
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL kpay.purge = 'on'")
        cursor.execute("UPDATE payments_journal SET posted_at = %s WHERE id = %s", [at, journal.pk])
    return journal


@pytest.fixture
def books(db):
    """Two sales, a refund and fees over three days; 88.00 of cash is left."""
    book("payment", "P1", local(9, 23, 59), cash__jsapi=10_000, revenue=-10_000)
    book("fee", "P1", local(10, 0, 0), fee__jsapi=60, cash__jsapi=-60)
    book("payment", "P2", local(10, 12), cash__h5=2_000, discounts=500, revenue=-2_500)
    book("refund", "R1", local(10, 13), cash__jsapi=-3_000, revenue=3_000)
    book("fee", "R1", local(11, 9), fee__jsapi=-18, cash__jsapi=18)
    book("share", "P2", local(11, 9), creator_share=700, creator_payable__1=-700)
    book("share", "P3", local(11, 9), creator_share=40, creator_payable__12=-40)


def test_a_family_of_accounts_from_opening_to_closing(books):
    day = Period(local(10).date(), local(10).date())

    found = statement("cash", day)

    assert (found.opening_fen, found.debit_fen, found.credit_fen) == (10_000, 2_000, -3_060)
    assert found.closing_fen == 8_940
    lines = [(e.journal.ref, e.amount_fen, int(e.running)) for e in found.entries]
    assert lines == [("P1", -60, 9_940), ("P2", 2_000, 11_940), ("R1", -3_000, 8_940)]


@pytest.mark.parametrize(
    ("account", "closing"),
    [
        ("cash:jsapi", 6_958),
        ("cash:", 0),
        ("cash", 8_958),
        ("creator_payable:1", -700),
        ("creator_payable:1*", -740),
        ("creator_payable", -740),
        ("", 0),
    ],
)
def test_an_account_is_named_exactly_as_a_family_or_by_its_beginning(books, account, closing):
    period = Period(local(1).date(), local(30).date())

    assert statement(account, period).closing_fen == closing


def test_all_accounts_sum_to_nothing_at_any_moment(books):
    for at in (local(10), local(10, 12, 30), local(12)):
        families = trial_balance(at)
        assert sum(family.balance.balance_fen for family in families) == 0

    by_name = {family.name: family.balance.balance_fen for family in trial_balance(local(12))}
    assert by_name == {
        "cash": 8_958, "creator_payable": -740, "creator_share": 740, "discounts": 500,
        "fee": 42, "revenue": -9_500,
    }  # fmt: skip


def test_the_page_shows_sums_and_leads_from_each_entry_to_its_order(signed_in):
    order = make_order(local(10))
    Payment.objects.create(
        order=order, out_trade_no="P1", channel="jsapi", status="succeeded", amount_fen=9900,
        transaction_id="W1", success_at=local(10),
    )  # fmt: skip
    journal = book("payment", "P1", local(10), cash__jsapi=9_900, revenue=-9_900)

    page = signed_in("finance").get(
        URL, {"account": "cash", "first": "2026-11-01", "last": "2026-11-30"}
    )

    html = page.content.decode()
    assert page.status_code == 200
    assert f"/admin/orders/{order.pk}/story/" in html
    assert f"/admin/payments/journal/{journal.pk}/change/" in html
    assert html.count("¥9,900.00") == 0
    assert "¥99.00" in html


def test_a_period_that_makes_no_sense_is_answered_with_this_month(signed_in, books):
    browser = signed_in("finance")

    for asked in (
        {"first": "2026-11-30", "last": "2026-11-01"},
        {"first": "yesterday"},
        {"account": "cash'; DROP"},
        {"p": "99999"},
        {"p": "x"},
    ):
        assert browser.get(URL, asked).status_code == 200, asked


def test_many_entries_are_paged_and_take_as_many_queries_as_few(signed_in):
    browser = signed_in("finance")
    asked = {"account": "cash", "first": "2026-11-01", "last": "2026-11-30"}

    def queries():
        with CaptureQueriesContext(connection) as seen:
            page = browser.get(URL, asked)
        return len(seen), page

    book("payment", "N0", local(2), cash__jsapi=1, revenue=-1)
    few, _page = queries()
    for number in range(1, 131):
        book(
            "payment",
            f"N{number}",
            local(2) + timedelta(minutes=number),
            cash__jsapi=1,
            revenue=-1,
        )

    many, page = queries()
    assert many == few
    assert page.content.decode().count("<tr>") == 101  # the head and a hundred entries
    last = browser.get(URL, {**asked, "p": "2"})
    balances = [line.balance for line in last.context["lines"]]
    assert (len(balances), balances[0], balances[-1]) == (31, "¥1.01", "¥1.31")


def test_the_file_holds_the_whole_statement_in_yuan(signed_in, books):
    answer = signed_in("finance").get(
        "/admin/finance/statement.csv",
        {"account": "cash", "first": "2026-11-10", "last": "2026-11-11"},
    )

    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert rows[1][7] == "100.00"
    assert [(row[2].strip(), row[4], row[5], row[6], row[7]) for row in rows[2:-1]] == [
        ("P1", "cash:jsapi", "", "0.60", "99.40"),
        ("P2", "cash:h5", "20.00", "", "119.40"),
        ("R1", "cash:jsapi", "", "30.00", "89.40"),
        ("R1", "cash:jsapi", "0.18", "", "89.58"),
    ]
    assert rows[-1][5:8] == ["20.18", "30.60", "89.58"]


def test_a_memo_never_becomes_a_formula(signed_in):
    post(
        kind="payment",
        ref="P1",
        memo="=HYPERLINK(1)",
        sides=[Side("cash:h5", 1), Side("revenue", -1)],
    )

    answer = signed_in("finance").get("/admin/finance/statement.csv", {"account": "cash"})

    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert rows[2][8] == "'=HYPERLINK(1)"


def test_the_trial_balance_shows_that_both_sides_agree(signed_in, books):
    page = signed_in("finance").get("/admin/finance/trial-balance/", {"last": "2026-11-11"})

    assert page.context["debit"] == page.context["credit"] == "¥102.40"
    assert "借贷相等" in page.content.decode()


@pytest.mark.parametrize("role", ["editor", "analyst"])
def test_who_may_not_see_journals_sees_no_statement(signed_in, role):
    browser = signed_in(role)

    for url in (URL, "/admin/finance/statement.csv", "/admin/finance/trial-balance/"):
        assert browser.get(url).status_code == 403


def test_a_stranger_is_sent_to_the_login_page(client):
    answer = client.get(URL)

    assert (answer.status_code, answer.url.startswith("/admin/login/")) == (302, True)
    assert Journal.objects.count() == 0
