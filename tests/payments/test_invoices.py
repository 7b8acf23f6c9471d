"""Invoices: asked for net of refunds, decided by staff."""

import pytest

from accounts.models import User
from kernel.models import StaffAction
from payments.errors import InvoiceDecided
from payments.models import Invoice, Payment, Refund
from payments.services.invoices import invoice_issue, invoice_reject, invoice_request
from payments.services.refunds import refund_request
from tests.builders import client_for, make_learner
from tests.incentives.conftest import all_at_once
from tests.payments.conftest import pay

pytestmark = pytest.mark.django_db

PERSON = {"kind": "personal", "title": "林小满", "email": "lin@example.com"}
COMPANY = {
    **PERSON,
    "kind": "company",
    "title": "微课（上海）有限公司",
    "tax_no": "91310000MA1FL0XX0X",
}


@pytest.fixture
def boss():
    return User.objects.create_superuser("boss")


@pytest.fixture
def paid(course, pending):
    def make(price_fen=9900):
        order = pending(course(price_fen=price_fen))
        if price_fen:
            pay(order)
        return order

    return make


def ask(user, order, body=None, key="i1"):
    address = f"/api/v1/orders/{order.no}/invoice"
    return client_for(user).post(
        address, body or PERSON, format="json", headers={"Idempotency-Key": key}
    )


def code(reply):
    return reply.status_code, reply.json()["error"]["code"]


def test_an_invoice_is_over_what_was_paid(buyer, paid):
    order = paid(9900)

    made = ask(buyer, order, COMPANY)
    replayed = ask(buyer, order, COMPANY)
    shown = client_for(buyer).get(f"/api/v1/orders/{order.no}/invoice").json()

    assert made.status_code == 201
    assert made.json() == replayed.json() == shown
    assert (shown["amount_fen"], shown["status"], shown["tax_no"]) == (
        9900,
        "requested",
        COMPANY["tax_no"],
    )


def test_what_goes_back_is_not_invoiced(buyer, boss, paid):
    order = paid(9900)
    refund_request(order_id=order.pk, by=boss, reason="补偿", cause="operator", amount_fen=1900)

    assert ask(buyer, order).json()["amount_fen"] == 8000
    assert Refund.objects.get().status == "requested"


def test_nothing_left_is_nothing_to_invoice(buyer, boss, paid, course, pending):
    refunded, free, unpaid = paid(9900), paid(0), pending(course())
    refund_request(order_id=refunded.pk, by=boss, reason="退", cause="operator")

    replies = [ask(buyer, order, key=str(n)) for n, order in enumerate((refunded, free, unpaid))]

    assert [code(reply) for reply in replies] == 3 * [(409, "nothing_to_invoice")]


def test_a_second_living_request_is_refused_and_after_a_rejection_allowed(buyer, boss, paid):
    order = paid()
    first = ask(buyer, order).json()
    second = ask(buyer, order, key="i2")
    invoice_reject(invoice_id=int(first["id"]), by=boss, reason="抬头有误")
    third = ask(buyer, order, key="i3")

    assert code(second) == (409, "invoice_exists")
    assert second.json()["error"]["detail"] == {"invoice_id": first["id"]}
    assert third.status_code == 201
    assert list(Invoice.objects.order_by("pk").values_list("status", "note")) == [
        ("rejected", "抬头有误"),
        ("requested", ""),
    ]


def test_staff_decide_once_and_leave_evidence(buyer, boss, paid):
    invoice = invoice_request(user=buyer, no=paid().no, **PERSON)

    invoice_issue(invoice_id=invoice.pk, by=boss, number="24312000000012345678")
    with pytest.raises(InvoiceDecided):
        invoice_reject(invoice_id=invoice.pk, by=boss, reason="晚了")

    invoice.refresh_from_db()
    assert (invoice.status, invoice.number, invoice.decided_by) == (
        "issued",
        "24312000000012345678",
        boss,
    )
    action = StaffAction.objects.get()
    assert (action.action, action.target) == ("payments.invoice_issued", f"invoice:{invoice.pk}")


def test_another_persons_order_is_not_there(paid):
    order, stranger = paid(), make_learner()

    assert ask(stranger, order).status_code == 404
    assert client_for(stranger).get(f"/api/v1/orders/{order.no}/invoice").status_code == 404


def test_an_order_without_request_has_no_invoice(buyer, paid):
    assert client_for(buyer).get(f"/api/v1/orders/{paid().no}/invoice").status_code == 404


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "other"},
        {"title": ""},
        {"title": "两\n行"},
        {"title": "题\u2028目"},
        {"title": "长" * 101},
        {"email": "nobody"},
        {"kind": "company"},
        {"kind": "company", "tax_no": "123"},
        {"kind": "company", "tax_no": "91310000ma1fl0xx0x"},
        {"kind": "company", "tax_no": "91310000MA1FL0XX0X1234"},
    ],
)
def test_bad_requests_are_refused(buyer, paid, changed):
    assert code(ask(buyer, paid(), {**PERSON, **changed})) == (400, "invalid_input")


@pytest.mark.django_db(transaction=True)
def test_twenty_requests_at_once_make_one_invoice(buyer, paid):
    order = paid()

    results = all_at_once(20, lambda n: ask(buyer, order, key=f"k{n}").status_code)

    assert sorted(results) == [201] + [409] * 19
    assert Invoice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_refund_and_an_invoice_at_once_never_invoice_what_goes_back(buyer, boss, paid):
    order = paid(9900)

    def step(number):
        if number:
            return refund_request(
                order_id=order.pk, by=boss, reason="退", cause="operator", amount_fen=4900
            )
        return invoice_request(user=buyer, no=order.no, **PERSON)

    results = all_at_once(2, step)

    assert not [r for r in results if isinstance(r, Exception)], results
    paid_row = Payment.objects.get()
    # Whoever came first: over all of it (a refund then follows it when it succeeds), or the rest.
    assert Invoice.objects.get().amount_fen in (9900, 9900 - paid_row.refunding_fen)
