"""O03, O04, R01, T01: money that came, money that goes back, and its columns."""

from django.db.models import QuerySet

from kernel.selftest import Planted, plant, sql
from payments.models import Order, OrderLine, Payment, Refund
from payments.selftest import ground


def _going_back() -> tuple[Payment, QuerySet[Refund]]:
    """Late money and its refund in full, as it should be."""
    money = ground.stray()
    row = ground.refund(money, fen=money.amount_fen, cause=Refund.Cause.LATE_PAYMENT)
    return money, Refund.objects.filter(pk=row.pk)


@plant("O03")
def stray_money_kept() -> Planted:
    money, refunds = _going_back()
    return Planted(
        {"out_trade_no": money.out_trade_no, "refunds": 0},
        lambda: refunds.update(status=Refund.Status.CLOSED),
    )


@plant("O03")
def stray_money_back_in_part() -> Planted:
    money, refunds = _going_back()
    return Planted(
        {"out_trade_no": money.out_trade_no},
        lambda: refunds.update(amount_fen=money.amount_fen - 1),
    )


@plant("O03", without=("refund_stray_money_once",))
def stray_money_back_twice() -> Planted:
    money, _refunds = _going_back()
    cause = Refund.Cause.DUPLICATE_PAYMENT
    return Planted(
        {"out_trade_no": money.out_trade_no, "refunds": 2},
        lambda: ground.refund(money, fen=money.amount_fen, cause=cause),
    )


@plant("O03")
def stray_money_back_for_another_cause() -> Planted:
    money, refunds = _going_back()
    return Planted(
        {"out_trade_no": money.out_trade_no, "refunds": 0},
        lambda: refunds.update(cause=Refund.Cause.USER),
    )


@plant("O04", blocked_by={"payments_payment_transaction_id_key"})
def one_transaction_for_two() -> Planted:
    first, second = ground.sale().payment, ground.sale().payment
    payments = Payment.objects.filter(pk=second.pk)
    return Planted(
        {"transaction_id": first.transaction_id, "payments": 2},
        lambda: payments.update(transaction_id=first.transaction_id),
    )


@plant("R01", blocked_by={"payment_refunds_bounded"})
def more_back_than_came() -> Planted:
    money = ground.sale().payment
    payments = Payment.objects.filter(pk=money.pk)
    return Planted(
        {"no": money.out_trade_no}, lambda: payments.update(refunding_fen=money.amount_fen + 1)
    )


@plant("R01")
def refund_not_counted_on_the_payment() -> Planted:
    money = ground.sale().payment
    return Planted(
        {"no": money.out_trade_no, "refunding_fen": 0},
        lambda: ground.refund(money, fen=1, cause=Refund.Cause.USER),
    )


@plant("R01")
def refund_not_counted_on_the_order() -> Planted:
    sold = ground.sale()
    orders = Order.objects.filter(pk=sold.order.pk)
    return Planted({"no": sold.order.no, "refunded_fen": 1}, lambda: orders.update(refunded_fen=1))


@plant("R01")
def refund_not_counted_on_its_line() -> Planted:
    sold = ground.sale()
    lines = OrderLine.objects.filter(pk=sold.line.pk)
    return Planted(
        {"no": f"{sold.order.no}/1", "refunding_fen": 1}, lambda: lines.update(refunding_fen=1)
    )


@plant("T01")
def float_of_money() -> Planted:
    return Planted(
        {"table_name": "payments_payment", "column_name": "selftest_fen"},
        sql("ALTER TABLE payments_payment ADD COLUMN selftest_fen real"),
    )
