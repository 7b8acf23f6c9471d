"""O01, O02, R02, E01, E02: orders, their lines and the rights they give."""

from kernel import clock
from kernel.ids import new_no
from kernel.selftest import Planted, plant
from payments.models import Entitlement, Order, OrderLine, Payment
from payments.selftest import ground


@plant("O01", blocked_by={"order_adds_up"})
def total_without_parts() -> Planted:
    row = ground.order(Order.Status.PENDING)
    return Planted(
        {"no": row.no}, lambda: Order.objects.filter(pk=row.pk).update(total_fen=ground.FEN + 1)
    )


@plant("O01", blocked_by={"order_line_adds_up"})
def line_without_parts() -> Planted:
    row = ground.order(Order.Status.PENDING)
    lines = OrderLine.objects.filter(order=row)
    return Planted({"no": row.no}, lambda: lines.update(list_fen=ground.FEN + 1))


@plant("O01", blocked_by={"payments_order_payable_fen_check", "order_refund_bounded"})
def payable_below_zero() -> Planted:
    row = ground.order(Order.Status.PENDING)
    figures = {"payable_fen": -1, "discount_fen": ground.FEN + 1}
    return Planted({"no": row.no}, lambda: Order.objects.filter(pk=row.pk).update(**figures))


@plant("O01")
def line_that_the_order_does_not_know() -> Planted:
    row = ground.order(Order.Status.PENDING)
    line = row.lines.get()

    def add() -> None:
        line.pk, line.line_no = None, 2
        line.save(force_insert=True)

    return Planted({"no": row.no, "lines_total_fen": 2 * ground.FEN}, add)


@plant("O02", blocked_by={"order_one_effective_payment"})
def two_effective_payments() -> Planted:
    sold = ground.sale()
    return Planted(
        {"no": sold.order.no, "effective": 2},
        lambda: ground.payment(sold.order, effective=True),
    )


@plant("O02")
def paid_with_another_amount() -> Planted:
    sold = ground.sale()
    payments = Payment.objects.filter(pk=sold.payment.pk)
    return Planted({"no": sold.order.no}, lambda: payments.update(amount_fen=ground.FEN - 1))


@plant("O02")
def paid_with_nothing() -> Planted:
    sold = ground.sale()
    payments = Payment.objects.filter(pk=sold.payment.pk)
    return Planted({"no": sold.order.no, "effective": 0}, lambda: payments.update(effective=False))


@plant("R02")
def refunded_with_nothing_back() -> Planted:
    sold = ground.sale()
    orders = Order.objects.filter(pk=sold.order.pk)
    return Planted({"no": sold.order.no}, lambda: orders.update(status=Order.Status.REFUNDED))


@plant("R02")
def paid_with_something_back() -> Planted:
    sold = ground.sale()
    orders = Order.objects.filter(pk=sold.order.pk)
    return Planted({"no": sold.order.no, "status": "paid"}, lambda: orders.update(refunded_fen=1))


@plant("E01", blocked_by={"entitlement_once"})
def right_given_twice() -> Planted:
    sold = ground.sale()
    return Planted(
        {"no": sold.order.no, "entitlements": 2},
        lambda: ground.entitlement(sold.order, sold.line),
    )


@plant("E01")
def right_not_given() -> Planted:
    sold = ground.sale()
    rows = Entitlement.objects.filter(pk=sold.entitlement.pk)
    return Planted({"no": sold.order.no, "entitlements": 0}, rows.delete)


@plant("E01")
def right_kept_after_the_refund() -> Planted:
    sold = ground.sale()
    lines = OrderLine.objects.filter(pk=sold.line.pk)
    return Planted(
        {"no": sold.order.no, "revoked": 0}, lambda: lines.update(refunded_fen=ground.FEN)
    )


@plant("E01")
def right_taken_without_a_refund() -> Planted:
    sold = ground.sale()
    rows = Entitlement.objects.filter(pk=sold.entitlement.pk)
    return Planted({"no": sold.order.no, "revoked": 1}, lambda: rows.update(revoked_at=clock.now()))


@plant("E01")
def right_of_an_unpaid_order() -> Planted:
    row = ground.order(Order.Status.PENDING)
    return Planted({"no": row.no}, lambda: ground.entitlement(row, row.lines.get()))


def _right(source: str) -> Planted:
    ref = new_no()
    user = ground.someone()
    return Planted(
        {"source": source, "source_ref": ref},
        lambda: Entitlement.objects.create(
            user=user,
            scope="selftest:1",
            source=source,
            source_ref=ref,
            valid_from=clock.now(),
        ),
    )


@plant("E02")
def right_of_no_order() -> Planted:
    return _right(Entitlement.Source.ORDER)


@plant("E02")
def right_of_no_code() -> Planted:
    return _right(Entitlement.Source.REDEEM)


@plant("E02")
def right_of_no_gift() -> Planted:
    return _right(Entitlement.Source.GIFT)


@plant("E02")
def right_of_no_assignment() -> Planted:
    return _right(Entitlement.Source.ASSIGNMENT)


@plant("E02")
def right_of_no_period() -> Planted:
    return _right(Entitlement.Source.SUBSCRIPTION)


@plant("E02", without=("entitlement_operator_reason",))
def right_without_a_reason() -> Planted:
    return _right(Entitlement.Source.OPERATOR)
