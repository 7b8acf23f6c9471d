"""X03: bills that show something else than our books."""

from datetime import date

from kernel.ids import new_no
from kernel.selftest import Planted, plant
from payments.models import BillRow, Discrepancy, Payment, Reconciliation
from payments.selftest import ground

# Before any real bill: the day's row is the plant's own.
_DAY = date(2000, 1, 1)


def _day(status: str = Reconciliation.Status.DONE) -> Reconciliation:
    taken = Reconciliation.objects.filter(date__lt=date(2010, 1, 1)).count()
    day = date.fromordinal(_DAY.toordinal() + taken)
    return Reconciliation.objects.create(channel="wechat", date=day, status=status)


def _row(kind: str, number: str, fen: int, status: str = "SUCCESS") -> BillRow:
    return BillRow.objects.create(
        reconciliation=_day(), kind=kind, number=number, amount_fen=fen, status=status
    )


@plant("X03")
def payment_the_bill_alone_knows() -> Planted:
    number = new_no()
    return Planted(
        {"subject": "payment", "number": number}, lambda: _row("payment", number, ground.FEN)
    )


@plant("X03")
def payment_of_another_amount() -> Planted:
    money = ground.sale().payment
    return Planted(
        {"subject": "payment", "number": money.out_trade_no, "bill_fen": ground.FEN - 1},
        lambda: _row("payment", money.out_trade_no, ground.FEN - 1),
    )


@plant("X03")
def payment_revoked_by_the_bill() -> Planted:
    money = ground.sale().payment
    return Planted(
        {"subject": "payment", "number": money.out_trade_no, "bill_status": "REVOKED"},
        lambda: _row("payment", money.out_trade_no, ground.FEN, "REVOKED"),
    )


@plant("X03")
def payment_the_bill_forgot() -> Planted:
    day = _day()
    money = ground.sale().payment

    def deed() -> None:
        Payment.objects.filter(pk=money.pk).update(success_at=f"{day.date}T12:00:00+08:00")

    return Planted({"subject": "payment", "number": money.out_trade_no, "bill_fen": None}, deed)


@plant("X03")
def refund_the_bill_alone_knows() -> Planted:
    number = new_no()
    return Planted(
        {"subject": "refund", "number": number}, lambda: _row("refund", number, ground.FEN)
    )


@plant("X03")
def refund_through_by_the_bill_alone() -> Planted:
    refund = ground.refund(ground.stray(), fen=ground.FEN, cause="late_payment")
    return Planted(
        {"subject": "refund", "number": refund.out_refund_no, "our_status": "requested"},
        lambda: _row("refund", refund.out_refund_no, ground.FEN),
    )


@plant("X03")
def movement_of_the_account_that_nobody_booked() -> Planted:
    number = new_no()
    return Planted(
        {"subject": "fund", "number": number},
        lambda: Discrepancy.objects.create(
            reconciliation=_day(), subject="fund", kind="theirs_only", number=number, theirs_fen=-1
        ),
    )
