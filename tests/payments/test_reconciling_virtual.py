"""Virtual payment's bill: a file with a line for each payment and refund, being made at first."""

from datetime import timedelta

import pytest

from kernel import clock
from payments.models import BillRow, Discrepancy, Journal, Payment, Reconciliation
from tests.payments.bill_day import moment
from tests.payments.buying import order_for, pays, shopper, started
from tests.payments.test_reconciling import found, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def product(sandbox, course):
    made = course(price_fen=9900, channels=["virtual"], xpay_product_id="course_1")
    sandbox.virtual_item("course_1", 9900)
    return made


def bought(sandbox, product, **fields):
    person = shopper(sandbox)
    begun = started(person, order_for(person, product), "virtual")
    pays(sandbox, person, begun, **fields)
    return begun["out_trade_no"]


def test_a_day_of_virtual_payment_is_matched_and_lost_money_found(sandbox, live_server, product):
    day = clock.local_date()
    known, lost, forgotten = (
        bought(sandbox, product),
        bought(sandbox, product, notify=False),
        bought(sandbox, product),
    )
    sandbox.virtual_bill(
        f"{day:%Y%m%d}",
        drop=[forgotten],
        extra=[{"row_type": "order", "order_id": "V9", "paid_fee_fen": 5, "status": "PAID",
                "time": moment(day).isoformat()}],
    )  # fmt: skip
    sandbox.set_clock(moment(day + timedelta(days=1), 11).isoformat())

    first, (being_made,) = run(day, "--channel", "virtual")
    second, (report,) = run(day, "--channel", "virtual")

    assert (first, being_made["status"], "268490011" in being_made["error"]) == (2, "due", True)
    assert (second, report["status"], report["rows"], report["matched"]) == (1, "done", 3, 2)
    assert found() == {
        ("payment", lost): ("theirs_only", "repaired"),
        ("payment", "V9"): ("theirs_only", "open"),
        ("payment", forgotten): ("ours_only", "open"),
    }
    # 1 % of 99.00, twice
    fees = Journal.objects.filter(kind="fee")
    assert {fee.ref for fee in fees} == {known, lost}
    assert dict(fees[0].entries.values_list("account", "amount_fen")) == {
        "fee:virtual": 99, "cash:virtual": -99,
    }  # fmt: skip
    assert Payment.objects.get(out_trade_no=lost).status == "succeeded"
    assert run(day, "--channel", "virtual")[0] == 1
    assert Discrepancy.objects.count() == 3


def test_each_channel_in_use_is_reconciled_apart(sandbox, live_server, product):
    day = clock.local_date()
    bought(sandbox, product)
    sandbox.settings(xpay_bill_waits=0)
    sandbox.set_clock(moment(day + timedelta(days=1), 11).isoformat())

    status, reports = run(day)

    assert (status, [report["channel"] for report in reports]) == (0, ["virtual"])
    assert reports[0]["fund"] is None
    assert BillRow.objects.count() == Reconciliation.objects.get().rows == 1
