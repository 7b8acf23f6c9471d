"""`manage.py audit`: what it lists, how it counts, when it gives up; the views of outsiders."""

import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from dashboard.audit import dead_states, dead_without_task
from dashboard.waiting import KINDS
from kernel import clock
from kernel.audit import Found, Invariant, pending_counts
from kernel.models import OutboxRow
from kpay_site import auditing
from messaging.models import OutboundMessage
from payments.models import EventHandling, Order, Payment, PlatformEvent, Refund
from payments.selftest import ground
from tests.builders import make_learner

# The table of invariants.md section 1.
IDS = {
    "M01", "M02", "M03", "M04", "M05", "O01", "O02", "O03", "O04", "R01", "R02", "E01", "E02",
    "P01", "P02", "P03", "C01", "C02", "S01", "S02", "S03", "X01", "X02", "X03", "W01", "D01",
    "D02", "D03", "T01",
}  # fmt: skip

TEXT, INT, AT, YES_NO = "text", "int", "timestamptz", "bool"
# Contract section 8, with the types that outsiders may rely on.
VIEWS = {
    "orders": {
        "order_no": TEXT, "user_id": TEXT, "status": TEXT, "created_at": AT, "paid_at": AT,
        "total_fen": INT, "discount_fen": INT, "points_used": INT, "points_value_fen": INT,
        "payable_fen": INT, "refunded_fen": INT, "coupon_id": TEXT,
    },
    "order_lines": {
        "order_no": TEXT, "line_no": INT, "product_id": TEXT, "scope": TEXT, "payable_fen": INT,
        "refunded_fen": INT,
    },
    "payments": {
        "out_trade_no": TEXT, "order_no": TEXT, "channel": TEXT, "status": TEXT,
        "amount_fen": INT, "transaction_id": TEXT, "success_at": AT,
    },
    "refunds": {
        "out_refund_no": TEXT, "out_trade_no": TEXT, "order_no": TEXT, "status": TEXT,
        "amount_fen": INT, "cause": TEXT,
    },
    "entitlements": {
        "id": TEXT, "user_id": TEXT, "scope": TEXT, "source": TEXT, "source_ref": TEXT,
        "valid_from": AT, "valid_until": AT, "revoked_at": AT,
    },
    "journals": {"id": TEXT, "kind": TEXT, "ref": TEXT, "posted_at": AT},
    "entries": {"journal_id": TEXT, "account": TEXT, "amount_fen": INT},
    "accounts": {"account": TEXT, "balance_fen": INT, "may_be_negative": YES_NO},
    "points": {"user_id": TEXT, "balance": INT},
    "point_entries": {
        "id": TEXT, "user_id": TEXT, "lot_id": TEXT, "delta": INT, "kind": TEXT, "ref": TEXT,
    },
    "point_lots": {
        "id": TEXT, "user_id": TEXT, "granted": INT, "remaining": INT, "expires_at": AT,
    },
    "coupon_templates": {"id": TEXT, "budget_count": INT, "budget_fen": INT, "per_user": INT},
    "coupons": {
        "id": TEXT, "template_id": TEXT, "user_id": TEXT, "status": TEXT, "order_no": TEXT,
        "value_fen": INT,
    },
    "subscriptions": {
        "id": TEXT, "user_id": TEXT, "plan_id": TEXT, "status": TEXT, "contract_id": TEXT,
    },
    "periods": {
        "id": TEXT, "subscription_id": TEXT, "user_id": TEXT, "plan_id": TEXT, "starts_at": AT,
        "ends_at": AT, "source_ref": TEXT, "voided_at": AT,
    },
    "deductions": {
        "out_trade_no": TEXT, "subscription_id": TEXT, "amount_fen": INT, "noticed_fen": INT,
        "noticed_at": AT, "requested_at": AT, "status": TEXT,
    },
    "events": {
        "source": TEXT, "event_id": TEXT, "kind": TEXT, "business_key": TEXT, "state": TEXT,
        "attempts": INT, "received_at": AT, "done_at": AT,
    },
    "effects": {"kind": TEXT, "business_key": TEXT, "ref": TEXT},
    "payouts": {"out_bill_no": TEXT, "creator_id": TEXT, "amount_fen": INT, "status": TEXT},
    "erasures": {"user_id": TEXT, "requested_at": AT, "done_at": AT},
    "outbox": {
        "id": TEXT, "kind": TEXT, "key": TEXT, "state": TEXT, "attempts": INT, "due_at": AT,
    },
}  # fmt: skip
KINDS_OF_TYPE = {
    "text": TEXT, "smallint": INT, "integer": INT, "bigint": INT,
    "timestamp with time zone": AT, "boolean": YES_NO,
}  # fmt: skip


def report() -> dict:
    with connection.cursor() as cursor:
        return auditing.report(cursor)


def line(id: str) -> dict:
    (found,) = [line for line in report()["invariants"] if line["id"] == id]
    return found


def test_every_invariant_of_the_page_is_listed_once(db):
    ids = [line["id"] for line in report()["invariants"]]

    assert len(ids) == len(set(ids))
    assert set(ids) == IDS


def test_parts_that_are_not_installed_say_so_and_break_nothing(db):
    found = report()

    absent = {line["id"] for line in found["invariants"] if "note" in line}
    assert absent == set(auditing.ABSENT) - {rule.id for rule in auditing.invariants()}
    assert all(
        (line["checked"], line["violations"], line["rows"]) == (0, 0, [])
        for line in found["invariants"]
        if line["id"] in absent
    )
    assert found["ok"]


def test_the_views_of_outsiders_have_the_columns_and_types_of_the_contract(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'audit' ORDER BY table_name, ordinal_position"
        )
        found: dict[str, dict[str, str]] = {}
        for view, column, kind in cursor.fetchall():
            found.setdefault(view, {})[column] = KINDS_OF_TYPE.get(kind, kind)

    assert {view: list(columns) for view, columns in found.items()} == {
        view: list(columns) for view, columns in VIEWS.items()
    }
    assert found == VIEWS


def test_offending_rows_are_all_counted_and_twenty_are_shown(db):
    for _ in range(23):
        ground.payment(ground.order(Order.Status.CLOSED))

    found = line("O03")

    assert (found["checked"], found["violations"], len(found["rows"])) == (23, 23, 20)
    assert set(found["rows"][0]) == {"out_trade_no", "amount_fen", "refunds", "refund_fen"}


def test_the_report_counts_what_the_shop_has(db):
    ground.sale()
    money = ground.stray()
    ground.refund(money, fen=money.amount_fen, cause="late_payment")
    Payment.objects.filter(pk=money.pk).update(refunding_fen=money.amount_fen)

    found = report()

    assert found["ok"], [line for line in found["invariants"] if line["violations"]]
    assert found["counts"] == {
        "orders_paid": 1,
        "payments_succeeded": 2,
        "refunds_succeeded": 0,
        "entitlements_live": 1,
        "journals": 2,
    }


def attempt(status: str, *, minutes: int) -> None:
    """An attempt to pay whose next look is so many minutes ahead."""
    Payment.objects.create(
        order=ground.order("pending"),
        out_trade_no=f"{status}{minutes}",
        channel="jsapi",
        status=status,
        amount_fen=ground.FEN,
        next_check_at=clock.now() + timedelta(minutes=minutes),
    )


def pending() -> dict[str, int]:
    with connection.cursor() as cursor:
        return pending_counts(cursor)


def test_an_unpaid_order_is_due_work_but_no_unknown_result(db):
    attempt("prepared", minutes=-1)

    assert (pending()["due_jobs"], pending()["unknown_results"]) == (1, 0)


def test_an_attempt_that_the_platform_did_not_answer_is_unknown_once_it_is_due(db):
    attempt("created", minutes=1)
    assert (pending()["due_jobs"], pending()["unknown_results"]) == (0, 0)

    attempt("created", minutes=-1)
    assert (pending()["due_jobs"], pending()["unknown_results"]) == (1, 1)


@pytest.mark.parametrize(
    ("status", "checks", "unknown"),
    [("requested", 0, 0), ("requested", 1, 1), ("processing", 3, 0), ("abnormal", 3, 0)],
)
def test_a_refund_is_unknown_only_when_it_was_asked_for_without_an_answer(
    db, status, checks, unknown
):
    money = ground.stray()
    row = ground.refund(money, fen=money.amount_fen, cause="late_payment", status=status)
    Refund.objects.filter(pk=row.pk).update(checks=checks, next_check_at=clock.now())

    assert (pending()["due_jobs"], pending()["unknown_results"]) == (1, unknown)


def test_events_and_outbox_rows_are_pending_when_due_and_dead_when_given_up(db):
    at = clock.now()
    for number, (state, due) in enumerate([("due", 1), ("due", -1), ("dead", -1), ("done", -1)]):
        OutboxRow.objects.create(
            kind="x", payload={}, handler=str(number), state=state, created_at=at,
            due_at=at + timedelta(minutes=due),
        )  # fmt: skip
        event = PlatformEvent.objects.create(
            source="x", event_id=str(number), event_type="x", body=b""
        )
        EventHandling.objects.create(
            event=event, kind="x", business_key="x", due_at=at + timedelta(minutes=due),
            state={"due": "parked"}.get(state, state),
        )  # fmt: skip

    assert pending() == {
        "events": 1, "outbox": 1, "due_jobs": 0, "unknown_results": 0, "dead": 2,
    }  # fmt: skip


def test_every_dead_state_of_the_product_is_in_the_work_queue(db):
    at = clock.now()
    OutboxRow.objects.create(
        kind="x", payload={}, handler="x", state="dead", due_at=at, created_at=at
    )
    OutboundMessage.objects.create(
        user=make_learner(), kind="service", dedupe_key="x", text="x", state="uncertain"
    )
    event = PlatformEvent.objects.create(source="x", event_id="1", event_type="x", body=b"")
    EventHandling.objects.create(event=event, kind="x", business_key="x", state="dead")
    money = ground.stray()
    ground.refund(money, fen=money.amount_fen, cause="late_payment", status="abnormal")

    assert {model for model, _field, _state in dead_states()} >= {
        OutboxRow, OutboundMessage, EventHandling, Refund,
    }  # fmt: skip
    assert dead_without_task() == Found(checked=4, violations=0)


def test_a_dead_row_that_no_line_of_the_queue_counts_breaks_x02(db):
    at = clock.now()
    row = OutboxRow.objects.create(
        kind="x", payload={}, handler="x", state="dead", due_at=at, created_at=at
    )

    found = dead_without_task([kind for kind in KINDS if kind.model is not OutboxRow])

    assert found.violations == 1
    assert found.rows == [
        {"what": "dead without a task", "table": "kernel_outboxrow", "id": str(row.pk)}
    ]


def audit_command(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        call_command("audit", *arguments)
    said = capsys.readouterr()
    return int(ended.value.code), said.out, said.err


@pytest.mark.django_db(transaction=True)
def test_the_command_ends_with_0_when_all_holds_and_1_with_the_rows_when_not(capsys):
    code, out, _err = audit_command(capsys, "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)

    money = ground.payment(ground.order(Order.Status.CLOSED))
    code, out, _err = audit_command(capsys, "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    (stray,) = [line for line in found["invariants"] if line["id"] == "O03"]
    assert [row["out_trade_no"] for row in stray["rows"]] == [money.out_trade_no]

    code, out, _err = audit_command(capsys)
    assert code == 1
    assert f"'out_trade_no': '{money.out_trade_no}'" in out


@pytest.mark.django_db(transaction=True)
def test_the_command_gives_up_with_2_on_a_table_that_it_can_not_read(capsys):
    other = connection.copy()
    try:
        other.set_autocommit(False)
        other.cursor().execute("LOCK TABLE payments_journal IN ACCESS EXCLUSIVE MODE")

        code, out, err = audit_command(capsys, "--timeout", "1")
    finally:
        other.rollback()
        other.close()

    assert (code, out) == (2, "")
    assert "无法核对" in err


@pytest.mark.django_db(transaction=True)
def test_writers_go_on_while_the_audit_reads_one_moment():
    order = ground.order(Order.Status.CLOSED)
    reading, written = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def write() -> None:
        try:
            assert reading.wait(10)
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            ground.payment(order)  # breaks O03
        except (AssertionError, OperationalError) as error:
            failures.append(error)
        finally:
            written.set()
            connection.close()

    def wait(_cursor: object) -> Found:
        reading.set()
        assert written.wait(10)
        return Found(0, 0)

    writer = threading.Thread(target=write)
    writer.start()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(auditing._SETUP)
        rules = [Invariant("A", "", wait), *auditing.all_invariants()]
        cursor.execute("SELECT count(*) FROM payments_payment")  # the snapshot begins
        during = auditing.report(cursor, rules)
        cursor.execute("COMMIT")
    writer.join()

    assert failures == []
    assert during["ok"]
    assert not auditing.audit()["ok"]
