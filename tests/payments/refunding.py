"""What the platform would say about refunds, and what the books hold, in one line each."""

from collections import defaultdict
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Sum

from accounts.models import User
from kernel import clock
from kernel.ids import new_no
from kpay_site import auditing
from payments import rules
from payments.models import Entry, Order, OrderLine, Payment, Product, Refund
from payments.services.refunds import refund_request, refund_told
from tests.payments.conftest import pay

_PERMISSIONS = ("view_refund", "add_refund", "change_refund")


def said(refund: Refund, status: str = "SUCCESS", **changed: Any) -> rules.RefundFacts:
    """What the platform tells about this refund."""
    facts = {
        "out_refund_no": refund.out_refund_no,
        "out_trade_no": refund.payment.out_trade_no,
        "refund_id": f"50{refund.out_refund_no}",
        "status": status,
        "refund_fen": refund.amount_fen,
        "success_at": clock.now() if status == "SUCCESS" else None,
    }
    return rules.RefundFacts(**{**facts, **changed})


def tell(refund: Refund, status: str = "SUCCESS") -> Refund:
    """The platform has told us so."""
    return refund_told(refund_id=refund.pk, facts=said(refund, status))


def ask(order: Order, *, by: Any = None, **fields: Any) -> Refund:
    """The buyer (or `by`) asks for money back."""
    fields.setdefault("reason", "不合适")
    return refund_request(order_id=order.pk, by=by or order.user, **fields)


def give_back(order: Order, **fields: Any) -> Refund:
    """The buyer asks, and the money has gone back."""
    return tell(ask(order, **fields))


def staff(name: str, *permissions: str) -> User:
    """An operator who may do this with refunds (everything by default)."""
    from django.contrib.auth.models import Permission

    user = User.objects.create_user(username=name, is_staff=True)
    names = permissions or _PERMISSIONS
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="payments", codename__in=names)
    )
    return User.objects.get(pk=user.pk)


def made_order(user: Any, product: Product, *lines: tuple[int, int, int]) -> Order:
    """A pending order with a line for each (payable, discount, points value), in fen."""
    payable, discount, points = (sum(line[n] for line in lines) for n in range(3))
    order = Order.objects.create(
        no=new_no(),
        user=user,
        platform="android",
        total_fen=payable + discount + points,
        discount_fen=discount,
        points_value_fen=points,
        payable_fen=payable,
        expires_at=clock.now() + timedelta(minutes=30),
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            line_no=number,
            product=product,
            kind="course",
            title=f"第{number}行",
            scope=f"pack:{order.no}:{number}",
            list_fen=sum(line),
            payable_fen=line[0],
            discount_fen=line[1],
            points_value_fen=line[2],
        )
        for number, line in enumerate(lines, start=1)
    )
    return order


def paid_order(user: Any, product: Product, *lines: tuple[int, int, int]) -> Order:
    """`made_order`, paid."""
    order = made_order(user, product, *lines)
    pay(order)
    return fresh(order)


def fresh(order: Order) -> Order:
    return Order.objects.select_related("user").get(pk=order.pk)


def money(order: Order) -> tuple[int, int, list[int], list[int]]:
    """The payment's refunding and refunded, and both of each line."""
    payment = Payment.objects.get(order=order, effective=True)
    lines = list(order.lines.order_by("line_no"))
    return (
        payment.refunding_fen,
        payment.refunded_fen,
        [line.refunding_fen for line in lines],
        [line.refunded_fen for line in lines],
    )


def books() -> dict[str, int]:
    """The accounts that are not zero."""
    rows = Entry.objects.values_list("account").annotate(fen=Sum("amount_fen"))
    found: dict[str, int] = defaultdict(int)
    for account, fen in rows:
        found[account] += fen
    return {account: fen for account, fen in sorted(found.items()) if fen}


def broken() -> dict[str, Any]:
    """Every invariant of the product that does not hold now, with what breaks it."""
    with connection.cursor() as cursor:
        found = {i.id: i.check(cursor) for i in auditing.all_invariants()}
    return {id: seen.rows for id, seen in found.items() if seen.violations}
