"""The few valid rows that plants break. Everything here has numbers of its own."""

from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth import get_user_model

from accounts.models import User
from kernel import clock
from kernel.ids import new_no
from payments import ledger
from payments.models import (
    Effect,
    Entitlement,
    Journal,
    Order,
    OrderLine,
    Payment,
    Product,
    Refund,
)

FEN = 1000


@dataclass(frozen=True)
class Sale:
    """A paid order of one line with all that belongs to it."""

    order: Order
    line: OrderLine
    payment: Payment
    entitlement: Entitlement


def someone() -> User:
    """A new user nobody can sign in as."""
    return get_user_model().objects.create_user(username=f"selftest_{new_no()}")


def order(status: str = Order.Status.PAID, *, user: User | None = None, points: int = 0) -> Order:
    """An order over `FEN` with one line; `points` of its price were points of one fen each."""
    at = clock.now()
    no = new_no()
    product = Product.objects.create(
        kind=Product.Kind.COURSE,
        title="selftest",
        scope=f"selftest:{no}",
        list_fen=FEN,
        price_fen=FEN,
        channels=["jsapi"],
    )
    paid = status in (Order.Status.PAID, Order.Status.PARTIALLY_REFUNDED, Order.Status.REFUNDED)
    figures = {"points_value_fen": points, "payable_fen": FEN - points}
    row = Order.objects.create(
        no=no,
        user=user or someone(),
        status=status,
        platform="android",
        total_fen=FEN,
        points_used=points,
        expires_at=at + timedelta(minutes=30),
        paid_at=at if paid else None,
        **figures,
    )
    OrderLine.objects.create(
        order=row,
        line_no=1,
        product=product,
        kind=product.kind,
        title=product.title,
        scope=product.scope,
        list_fen=FEN,
        **figures,
    )
    return row


def payment(of: Order, *, effective: bool = False, fen: int | None = None) -> Payment:
    """Money that has come for the order."""
    no = new_no()
    return Payment.objects.create(
        order=of,
        out_trade_no=no,
        channel="jsapi",
        status=Payment.Status.SUCCEEDED,
        effective=effective,
        amount_fen=of.payable_fen if fen is None else fen,
        transaction_id=f"selftest{no}",
        success_at=clock.now(),
    )


def booked(of: Payment) -> Journal:
    """The journal of a sale."""
    return ledger.post_sale(
        kind="payment",
        ref=of.out_trade_no,
        channel=of.channel,
        paid_fen=of.amount_fen,
        discount_fen=0,
        points_value_fen=0,
        total_fen=of.amount_fen,
    )


def entitlement(of: Order, line: OrderLine) -> Entitlement:
    """The right that the line gives."""
    return Entitlement.objects.create(
        user_id=of.user_id,
        scope=line.scope,
        source=Entitlement.Source.ORDER,
        source_ref=of.no,
        valid_from=clock.now(),
    )


def sale() -> Sale:
    """An order, its money, its journal, its right, its effect."""
    made = order()
    line = made.lines.get()
    money = payment(made, effective=True)
    booked(money)
    Effect.objects.create(kind="payment", business_key=money.out_trade_no, ref=made.no)
    return Sale(made, line, money, entitlement(made, line))


def stray() -> Payment:
    """Money that came for a closed order, counted as on its way back; no refund of it yet."""
    money = payment(order(Order.Status.CLOSED))
    ledger.post_stray(ref=money.out_trade_no, channel=money.channel, amount_fen=money.amount_fen)
    return money


def refund(of: Payment, *, fen: int, cause: str, status: str = Refund.Status.REQUESTED) -> Refund:
    """Money on its way back."""
    return Refund.objects.create(
        order_id=of.order_id,
        payment=of,
        out_refund_no=new_no(),
        amount_fen=fen,
        cause=cause,
        status=status,
        success_at=clock.now() if status == Refund.Status.SUCCEEDED else None,
    )
