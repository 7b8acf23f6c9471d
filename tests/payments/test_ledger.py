"""What the database itself refuses, and what the audit finds when it is let through."""

import pytest
from django.db import Error, IntegrityError, connection, transaction

from kpay_site import auditing
from payments.ledger import Side, post
from payments.models import Entry, Journal, Order, OrderLine, Payment
from tests.payments.conftest import attempt, pay

pytestmark = pytest.mark.django_db

EVIDENCE = ("payments_journal", "payments_entry", "payments_platformevent")


def broken() -> set[str]:
    """Ids of the invariants of payments that do not hold now."""
    import payments.audit

    with connection.cursor() as cursor:
        return {
            i.id
            for i in auditing.all_invariants()
            if i.id in payments.audit.RULES and i.check(cursor).violations
        }


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_a_working_shop_breaks_no_invariant(course, plan, pending):
    pay(pending(course(price_fen=9900, list_fen=19900)))
    pay(pending(plan().product))
    pending(course(price_fen=0, list_fen=100))
    attempt(pending(course()))

    assert broken() == set()


@pytest.mark.parametrize(
    "amounts", [[], [100], [100, -99]], ids=["no entry", "one entry", "not balanced"]
)
def test_a_journal_that_does_not_balance_is_refused_at_commit(amounts):
    journal = Journal.objects.create(kind="test", ref="1")
    for amount in amounts:
        Entry.objects.create(journal=journal, account="suspense", amount_fen=amount)

    with pytest.raises(IntegrityError), transaction.atomic():
        run("SET CONSTRAINTS ALL IMMEDIATE")
    run("SET LOCAL kpay.purge = 'on'; DELETE FROM payments_entry; DELETE FROM payments_journal")


def test_an_entry_can_not_join_a_balanced_journal_later():
    journal = post(kind="test", ref="1", sides=[Side("suspense", 5), Side("revenue", -5)])
    run("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(IntegrityError), transaction.atomic():
        Entry.objects.create(journal=journal, account="suspense", amount_fen=1)


@pytest.mark.parametrize("table", EVIDENCE)
@pytest.mark.parametrize("deed", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_evidence_is_append_only_unless_it_is_purged(table, deed):
    run("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        run(deed.format(table))

    with transaction.atomic():
        run("SET LOCAL kpay.purge = 'on'")
        run(deed.format(table))


def test_a_stored_balance_follows_its_entries():
    for ref in ("1", "2"):
        post(kind="share", ref=ref, sides=[Side("creator_payable:7", -300), Side("revenue", 300)])

    assert broken() == set()
    run("UPDATE payments_ledgeraccount SET balance_fen = -599")
    assert broken() == {"M03"}


PLANTED = {
    "M01": "SET LOCAL kpay.purge = 'on'; ALTER TABLE payments_entry DISABLE TRIGGER entry_balanced;"
    " UPDATE payments_entry SET amount_fen = amount_fen + 1 WHERE account = 'revenue'",
    "M02": "ALTER TABLE payments_journal DISABLE TRIGGER journal_append_only",
    "M05": "UPDATE payments_payment SET amount_fen = amount_fen + 1 WHERE effective",
    "O01": "ALTER TABLE payments_order DROP CONSTRAINT order_adds_up;"
    " UPDATE payments_order SET total_fen = total_fen + 1",
    "O02": "UPDATE payments_payment SET effective = false",
    "O03": "UPDATE payments_payment SET effective = false",
    "R01": "UPDATE payments_payment SET refunding_fen = 1",
    "R02": "UPDATE payments_order SET status = 'partially_refunded'",
    "E01": "DELETE FROM payments_entitlement",
    "E02": "UPDATE payments_entitlement SET source_ref = 'none'",
    "X01": "INSERT INTO payments_platformevent (source, event_id, event_type, body, received_at)"
    " VALUES ('wechat_pay', '1', 'x', '', now())",
    "T01": "ALTER TABLE payments_payment ADD COLUMN tip_fen real",
}


def test_the_audit_finds_a_line_whose_refunds_do_not_add_up(course, pending):
    pay(pending(course()))
    run("SET CONSTRAINTS ALL IMMEDIATE")

    run("UPDATE payments_orderline SET refunding_fen = 1")

    assert broken() == {"R01"}


@pytest.mark.parametrize("id", sorted(PLANTED))
def test_the_audit_finds_a_planted_violation(id, course, pending):
    pay(pending(course()))
    run("SET CONSTRAINTS ALL IMMEDIATE")

    run(PLANTED[id])

    assert id in broken()


def test_the_database_refuses_a_second_effective_payment(course, pending):
    order = pending(course())
    payment = pay(order)

    with pytest.raises(IntegrityError, match="order_one_effective_payment"), transaction.atomic():
        Payment.objects.create(
            order=order, out_trade_no="2", channel="jsapi", status="succeeded", effective=True,
            amount_fen=9900, transaction_id="t2", success_at=payment.success_at,
        )  # fmt: skip


def test_the_database_refuses_figures_that_do_not_add_up(course, pending):
    pending(course())

    for model in (Order, OrderLine):
        with pytest.raises(IntegrityError, match="adds_up"), transaction.atomic():
            model.objects.update(payable_fen=1)
    with pytest.raises(IntegrityError, match="order_paid_has_time"), transaction.atomic():
        Order.objects.update(status="paid")


def test_the_audit_views_tell_outsiders_the_same_facts(course, pending):
    order = pending(course(price_fen=9900))
    payment = pay(order)

    with connection.cursor() as cursor:
        cursor.execute("SELECT order_no, status, payable_fen FROM audit.orders")
        orders = cursor.fetchall()
        cursor.execute("SELECT out_trade_no, order_no, amount_fen FROM audit.payments")
        payments = cursor.fetchall()
        cursor.execute("SELECT account, amount_fen FROM audit.entries ORDER BY 1")
        entries = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM audit.subscriptions")
        (subscriptions,) = cursor.fetchone()

    assert orders == [(order.no, "paid", 9900)]
    assert payments == [(payment.out_trade_no, order.no, 9900)]
    assert entries == [("cash:jsapi", 9900), ("revenue", -9900)]
    assert subscriptions == 0
