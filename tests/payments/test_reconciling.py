"""Reconciliation through the sandbox's real bills: gzip, hash, planted differences."""

import io
import json
from contextlib import redirect_stdout
from datetime import timedelta

import pytest
from django.core.management import call_command

from kernel import clock
from payments import tasks
from payments.flows.reconciling_bills import bill_lines
from payments.flows.reconciling_repairs import discrepancy_repair
from payments.models import (
    BillRow,
    Discrepancy,
    Journal,
    Order,
    Payment,
    Reconciliation,
    Refund,
    RefundLine,
)
from payments.rules import PaidFacts
from payments.services import order_end
from payments.services.attempts import payment_closed
from payments.services.fulfilment import payment_succeeded
from payments.services.reconciling import discrepancy_close, reconciliation_begin
from payments.services.reconciling_bill import bill_store
from payments.services.reconciling_funds import fees_book
from payments.services.reconciling_match import bill_match
from tests.builders import make_learner
from tests.payments.bill_day import Plants, Sold, fee_of, moment, write_ours, write_theirs
from tests.payments.conftest import attempt, make_buyer, sums

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def day(sandbox):
    """Today; and from now on it is 11:00 of tomorrow, when today's bill can be had."""
    today = clock.local_date()
    sandbox.set_clock(moment(today + timedelta(days=1), 11).isoformat())
    return today


def run(day, *options):
    """`manage.py reconcile --json`: its exit status and what it printed."""
    printed = io.StringIO()
    with redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        call_command("reconcile", "--date", str(day), "--json", *options, stdout=printed)
    return ended.value.code, json.loads(printed.getvalue())["reconciliations"]


def found():
    """(subject, number) → (kind, state) of every difference."""
    return {(row.subject, row.number): (row.kind, row.state) for row in Discrepancy.objects.all()}


def everything():
    """All that a second run might change."""
    return {
        "rows": list(BillRow.objects.order_by("pk").values()),
        "differences": list(Discrepancy.objects.order_by("pk").values()),
        "journals": list(Journal.objects.order_by("pk").values()),
        "payments": list(Payment.objects.order_by("pk").values()),
        "refunds": list(Refund.objects.order_by("pk").values()),
        "orders": list(Order.objects.order_by("pk").values()),
        "figures": list(Reconciliation.objects.values("status", "rows", "matched")),
    }


def bought(course, pending, at, fen=5000):
    """A real paid order of somebody, which the platform's book is still to learn of."""
    user = make_buyer(f"oBuyer{make_learner().pk}")
    order = pending(course(price_fen=fen), user=user)
    payment = attempt(order)
    facts = PaidFacts(payment.out_trade_no, f"42{payment.out_trade_no}", fen, "oReal", at)
    return payment_succeeded(facts=facts)


def unpaid(course, pending, fen=4000):
    """A real attempt whose money came without our knowing."""
    return attempt(pending(course(price_fen=fen), user=make_buyer(f"oB{make_learner().pk}")))


def plant_payments(sandbox, course, pending, plants, sold):
    """5 whose news was lost, 5 invented, 5 forgotten, 5 of another amount, 3 of another state."""
    day = plants.day
    lost = [unpaid(course, pending) for _ in range(5)]
    for payment in lost[:2]:
        payment_closed(payment_id=payment.pk)
        order_end(order_id=payment.order_id, status="cancelled")
    write_theirs(sandbox, day, [Sold(p.out_trade_no, p.amount_fen, moment(day)) for p in lost])
    for payment in lost:
        plants.want("payment", payment.out_trade_no, "theirs_only", "repaired")
    for number in [f"GHOST{n}" for n in range(5)]:
        plants.extra.append({"kind": "payment", "out_trade_no": number, "amount_fen": 77})
        plants.want("payment", number, "theirs_only", "open")
    without_refund = [row.number for row in sold if not row.back]
    for number in without_refund[100:105]:
        plants.drop.append(number)
        plants.want("payment", number, "ours_only", "open")
    for number in without_refund[110:115]:
        plants.amounts[number] = 1
        plants.want("payment", number, "amount", "open")
    for number in without_refund[120:123]:
        plants.statuses[number] = "REVOKED"
        plants.want("payment", number, "status", "open")
    return lost


def plant_refunds(sandbox, course, pending, plants, sold):
    """4 made at the console, 2 invented, 4 forgotten, 3 of another amount, 4 through unknown to
    us; and 5 frozen under way, which are no differences."""
    day, at = plants.day, moment(plants.day)
    console = [bought(course, pending, at) for _ in range(4)]
    late = [bought(course, pending, at) for _ in range(4)]
    for payment in console:
        plants.want("refund", f"BACK{payment.pk}", "theirs_only", "repaired")
    for payment in late:
        under_way(payment, f"BACK{payment.pk}", 100)
        plants.want("refund", f"BACK{payment.pk}", "status", "repaired")
    theirs = [Sold(p.out_trade_no, 5000, at, f"BACK{p.pk}", "oReal") for p in (*console, *late)]
    write_theirs(sandbox, day, theirs)
    for n in range(2):
        plants.extra.append(
            {"kind": "refund", "out_trade_no": sold[n].number, "out_refund_no": f"RGHOST{n}",
             "amount_fen": 50}
        )  # fmt: skip
        plants.want("refund", f"RGHOST{n}", "theirs_only", "open")
    backs = [row.back for row in sold if row.back]
    for number in backs[200:204]:
        plants.drop.append(number)
        plants.want("refund", number, "ours_only", "open")
    for number in backs[210:213]:
        plants.amounts[number] = 99
        plants.want("refund", number, "amount", "open")
    plants.statuses |= dict.fromkeys(backs[220:225], "PROCESSING")
    return console, late


def test_forty_planted_differences_among_two_thousand_rows(sandbox, course, pending, day):
    plants = Plants(day)
    sold = [
        Sold(f"S{n:07d}", 1000 + n, moment(day) + timedelta(seconds=n), f"RS{n}" * (n % 4 == 0))
        for n in range(1581)
    ]
    sold[0].at, sold[1].at = moment(day, 0), moment(day, 23, 59, 59)
    write_ours(sold, course())
    write_theirs(sandbox, day, sold)
    lost = plant_payments(sandbox, course, pending, plants, sold)
    console, late = plant_refunds(sandbox, course, pending, plants, sold)
    plants.into(sandbox)

    status, (report,) = run(day)

    assert len(plants.wanted) == 40
    assert found() == plants.wanted
    assert (status, report["status"]) == (1, "done")
    # 1581 + 5 + 4 + 4 payments, 396 + 4 + 4 refunds, 7 invented, 9 dropped
    assert report["rows"] == 1594 + 404 + 7 - 9
    assert report["matched"] == report["rows"] - 5 - 5 - 3 - 2 - 3  # those dropped have no row
    assert (report["open"], report["repaired"]) == (27, 13)
    repaired_as_promised(lost, console, late)
    assert Payment.objects.get(out_trade_no=sold[149].number).amount_fen == 1149
    fees_are_booked(sold)
    assert report["fund"]["income_fen"] > report["fund"]["expense_fen"] > 0

    before = everything()
    assert run(day)[0] == 1
    assert everything() == before


def under_way(payment, number, fen):
    """A refund that the platform was asked for; its success was told to nobody."""
    line = payment.order.lines.get()
    refund = Refund.objects.create(
        order=payment.order, payment=payment, out_refund_no=number, amount_fen=fen,
        cause="user", status="processing", created_at=payment.success_at,
        next_check_at=clock.now() + timedelta(hours=1),
    )  # fmt: skip
    RefundLine.objects.create(refund=refund, line=line, amount_fen=fen)
    Payment.objects.filter(pk=payment.pk).update(refunding_fen=fen)
    type(line).objects.filter(pk=line.pk).update(refunding_fen=fen)


def repaired_as_promised(lost, console, late):
    for payment in lost:
        payment.refresh_from_db()
        assert payment.status == "succeeded"
    assert [payment.effective for payment in lost] == [False, False, True, True, True]
    assert list(Refund.objects.filter(payment__in=lost).values_list("cause", flat=True)) == [
        "late_payment", "late_payment",
    ]  # fmt: skip
    for payment in console:
        refund = Refund.objects.get(out_refund_no=f"BACK{payment.pk}")
        assert (refund.status, refund.cause, refund.amount_fen) == ("succeeded", "platform", 100)
        assert sums(refund.out_refund_no) != {}
    for payment in late:
        assert Refund.objects.get(out_refund_no=f"BACK{payment.pk}").status == "succeeded"
        payment.refresh_from_db()
        assert (payment.refunding_fen, payment.refunded_fen) == (0, 100)


def fees_are_booked(sold):
    paid = Payment.objects.get(out_trade_no=sold[400].number)
    assert paid.fee_fen == fee_of(1400) == 8
    fee = Journal.objects.get(kind="fee", ref=sold[400].number)
    assert dict(fee.entries.values_list("account", "amount_fen")) == {
        "fee:jsapi": 8, "cash:jsapi": -8,
    }  # fmt: skip
    # 0.60 % of 100 fen is 1 fen, which comes back with the refund.
    back = Journal.objects.get(kind="fee", ref=sold[400].back)
    assert dict(back.entries.values_list("account", "amount_fen")) == {
        "fee:jsapi": -1, "cash:jsapi": 1,
    }  # fmt: skip


def small_day(sandbox, course, day, count=6):
    sold = [Sold(f"D{n:07d}", 1000 * n, moment(day, 9 + n)) for n in range(1, count + 1)]
    write_ours(sold, course())
    write_theirs(sandbox, day, sold)
    return sold


def test_an_agreeing_day_ends_with_zero(sandbox, course, day):
    small_day(sandbox, course, day)

    status, (report,) = run(day)

    assert (status, report["rows"], report["matched"], report["differences"]) == (0, 6, 6, [])
    # 210 yuan came, 0.60 % of it went as fees: the same by the account and by our cash.
    assert report["fund"] == {
        "income_fen": 21_000, "expense_fen": 126, "fees_fen": 126, "ours_fen": 20_874,
    }  # fmt: skip


def test_an_empty_day_is_done(sandbox, day):
    status, (report,) = run(day)

    assert (status, report["status"], report["rows"]) == (0, "done", 0)


def test_a_bill_that_is_being_made_is_asked_for_again_and_then_a_task(sandbox, course, day):
    small_day(sandbox, course, day)
    sandbox.fault("errcode:STATEMENT_CREATING", on="api", path="/v3/bill/tradebill")

    status, (report,) = run(day)
    row = Reconciliation.objects.get()
    assert (status, report["status"], row.tries) == (2, "due", 1)
    assert "STATEMENT_CREATING" in row.last_error
    assert row.next_try_at > clock.now()

    for _ in range(12):
        assert row.status == "due"
        sandbox.advance(6 * 3600 + 60)
        tasks.reconcile()
        row.refresh_from_db()
    row = Reconciliation.objects.get(date=day)
    assert (row.status, row.next_try_at) == ("failed", None)


def test_a_day_that_failed_is_done_when_asked_again(sandbox, course, day):
    small_day(sandbox, course, day)
    Reconciliation.objects.create(channel="wechat", date=day, status="failed", tries=12)

    status, (report,) = run(day)

    assert (status, report["status"], report["matched"]) == (0, "done", 6)


@pytest.mark.parametrize("times", [1, 2])
def test_a_damaged_bill_is_fetched_by_a_fresh_address(sandbox, course, day, times):
    small_day(sandbox, course, day)
    sandbox.fault("corrupt_bill", on="api", path="/v3/billdownload", count=times)

    status, (report,) = run(day)

    if times == 1:
        assert (status, report["status"], report["rows"]) == (0, "done", 6)
    else:
        assert (status, report["status"], BillRow.objects.count()) == (2, "due", 0)
        sandbox.advance(700)
        tasks.reconcile()
        assert Reconciliation.objects.get(date=day).status == "done"


def test_an_address_that_is_over_is_asked_for_anew(sandbox, course, day):
    small_day(sandbox, course, day)
    sandbox.settings(bill_url_seconds=0)
    assert run(day)[0] == 2

    sandbox.settings(bill_url_seconds=300)
    assert run(day)[0] == 0


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_a_run_that_dies_between_steps_goes_on(sandbox, course, pending, day, done):
    small_day(sandbox, course, day)
    lost = unpaid(course, pending)
    write_theirs(sandbox, day, [Sold(lost.out_trade_no, 4000, moment(day))])
    row = reconciliation_begin(channel="wechat", day=day)
    steps = [
        lambda: bill_store(reconciliation_id=row.pk, lines=bill_lines("wechat", day)),
        lambda: bill_match(reconciliation_id=row.pk),
        lambda: discrepancy_repair(Discrepancy.objects.get()),
        lambda: fees_book(row=row),
    ]
    for step in steps[:done]:
        step()
    sandbox.advance(601)  # the process is dead, its lease is over

    tasks.reconcile()

    row.refresh_from_db()
    assert (row.status, row.rows, row.matched) == ("done", 7, 7)
    assert found() == {("payment", lost.out_trade_no): ("theirs_only", "repaired")}
    assert Journal.objects.filter(kind="fee").count() == 7


def test_the_edge_of_a_day_is_no_difference(sandbox, course, day):
    """The platform counts a moment to the next day that we count to this one."""
    edge = Sold("EDGE0001", 3000, moment(day, 23, 59, 59))
    write_ours([edge], course())
    next_day = day + timedelta(days=1)
    edge.at = moment(next_day, 0)
    write_theirs(sandbox, next_day, [edge])

    assert run(day)[0] == 0
    assert Discrepancy.objects.count() == 0
    assert Payment.objects.get().success_at == moment(next_day, 0)
    sandbox.advance(86_400)
    status, (report,) = run(next_day)
    assert (status, report["matched"]) == (0, 1)


def test_a_refund_stands_in_the_bill_of_its_acceptance(sandbox, course, day):
    """Accepted on the first day, through on the second: neither day differs."""
    sold = Sold("ACC0001", 3000, moment(day, 12), "RACC0001")
    write_ours([sold], course())
    next_day = day + timedelta(days=1)
    Refund.objects.update(success_at=moment(next_day, 9))
    write_theirs(sandbox, day, [sold])
    sandbox.advance(86_400)

    assert run(next_day)[0] == 0  # while the first day's bill is to come, nothing is said
    assert run(day)[0] == 0
    assert run(next_day)[0] == 0
    assert Discrepancy.objects.count() == 0


def test_money_that_left_without_a_refund_is_found_in_the_fund_bill(sandbox, course, day):
    sold = small_day(sandbox, course, day)
    flow = {"kind": "flow", "direction": "out", "amount_fen": 500, "name": "提现", "number": "W1"}
    sandbox.plant(day.isoformat(), bill="fundflow", extra=[flow], amounts={sold[2].number: 2900})

    assert run(day)[0] == 1

    rows = Discrepancy.objects.order_by("number")
    assert [(r.subject, r.kind, r.number, r.ours_fen, r.theirs_fen) for r in rows] == [
        # 30.00 − 0.18 by our cash, 29.00 − 0.17 by the account
        ("fund", "amount", sold[2].number, 2982, 2883),
        ("fund", "theirs_only", "W1", None, -500),
    ]


def test_a_persons_word_closes_a_difference_and_stays(sandbox, course, day):
    sold = small_day(sandbox, course, day)
    sandbox.plant(day.isoformat(), amounts={sold[0].number: 1}, drop=[sold[1].number])
    assert run(day)[0] == 1
    by = make_learner(is_staff=True)

    for row in Discrepancy.objects.filter(subject="payment"):
        discrepancy_close(discrepancy_id=row.pk, by=by, reason="已与平台客服核对")

    assert run(day)[0] == 0
    row = Discrepancy.objects.get(number=sold[0].number)
    assert (row.state, row.resolved_by_id, row.repair) == ("closed", by.pk, "已与平台客服核对")


def test_a_difference_that_is_gone_is_repaired_by_the_next_run(sandbox, course, day):
    sold = small_day(sandbox, course, day)
    sandbox.plant(day.isoformat(), drop=[sold[1].number])
    assert run(day)[0] == 1

    sandbox.forget_bill(day.isoformat())

    assert run(day)[0] == 0
    assert found() == {("payment", sold[1].number): ("ours_only", "repaired")}


def test_the_schedule_opens_missing_days_since_the_first_payment(sandbox, course, day):
    two_days_ago = day - timedelta(days=2)
    write_ours([Sold("OLD0001", 900, moment(two_days_ago))], course())
    write_theirs(sandbox, two_days_ago, [Sold("OLD0001", 900, moment(two_days_ago))])

    tasks.reconcile()

    rows = Reconciliation.objects.order_by("date").values_list("date", "channel", "status")
    assert list(rows) == [(two_days_ago + timedelta(days=n), "wechat", "done") for n in range(3)]


def test_before_ten_nothing_is_opened_for_yesterday(sandbox, course, day):
    write_ours([Sold("NEW0001", 900, moment(day))], course())
    sandbox.set_clock(moment(day + timedelta(days=1), 9, 59).isoformat())

    tasks.reconcile()

    assert Reconciliation.objects.count() == 0


def test_today_has_no_bill(sandbox, day):
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile", "--date", str(day + timedelta(days=1)), stderr=io.StringIO())

    assert ended.value.code == 2
