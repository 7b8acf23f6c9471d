"""What a refund would give and take, before it is asked for. Stores nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernel import clock
from payments import refund_rules
from payments.errors import NothingToRefund
from payments.models import Gift, Order, OrderLine, Payment, Product
from payments.services.refunds.policy import Standing, standings
from payments.services.refunds.request import (
    above_limit,
    parts_of,
    payment_to_refund,
    pieces_for,
)


@dataclass(frozen=True)
class LineQuote:
    """One line: what the policy gives of it now, what this refund takes, and what follows."""

    line_no: int
    title: str
    payable_fen: int
    refunded_fen: int
    refunding_fen: int
    left_fen: int
    refundable_fen: int
    amount_fen: int
    watched_bp: int
    policy: str
    points: int
    access_ends: bool
    gifts: int


@dataclass(frozen=True)
class RefundQuote:
    order_no: str
    amount_fen: int
    automatic: bool
    coupon: bool
    lines: tuple[LineQuote, ...]


def refund_quote(
    *, order: Order, lines: Sequence[Mapping[str, int]] = (), amount_fen: int | None = None
) -> RefundQuote:
    """What the order's buyer would get back now, by line, with its effects.

    `lines` or `amount_fen` preview a part and are refused as a request would be; without them
    it is all that the policy gives, which may be nothing. Refunds under way count as done.
    Raises `OrderNotPaid`, `RefundExceedsPaid`, `RefundNotInPolicy`, `InvalidInput`.
    """
    all_ = _standings(order)
    try:
        parts = parts_of([s.room for s in all_], lines=lines, amount_fen=amount_fen)
    except NothingToRefund:
        parts = {}
    taken = pieces_for(all_, parts, exact=True)
    amount = sum(parts.values())
    gone = sum(s.line.payable_fen - s.left_fen for s in all_)
    full = amount > 0 and gone + amount == order.payable_fen
    quoted = []
    for standing in all_:
        fen = parts.get(standing.line.line_no, 0)
        points = refund_rules.share_of(
            order.points_used, before_fen=gone, now_fen=fen, of_fen=order.payable_fen
        )
        gone += fen
        quoted.append(_quoted(standing, fen, taken, points=points, full=full))
    return RefundQuote(
        order_no=order.no,
        amount_fen=amount,
        automatic=not above_limit(order, amount),
        coupon=full and order.coupon_id is not None,
        lines=tuple(quoted),
    )


def _standings(order: Order) -> list[Standing]:
    try:
        payment = Payment.objects.get(pk=payment_to_refund(order))
    except NothingToRefund:
        payment = None
    lines: list[OrderLine] = list(order.lines.all())
    has_gifts = any(line.kind == Product.Kind.GIFT for line in lines)
    rows = Gift.objects.filter(line__order=order).order_by("line_id", "number")
    gifts = list(rows) if has_gifts else []
    return standings(order=order, payment=payment, lines=lines, gifts=gifts, at=clock.now())


def _quoted(
    standing: Standing, fen: int, taken: Sequence[Gift], *, points: int, full: bool
) -> LineQuote:
    line = standing.line
    nothing_left = fen == standing.left_fen if line.payable_fen else full
    return LineQuote(
        line_no=line.line_no,
        title=line.title,
        payable_fen=line.payable_fen,
        refunded_fen=line.refunded_fen,
        refunding_fen=line.refunding_fen,
        left_fen=standing.left_fen,
        refundable_fen=standing.allowed_fen,
        amount_fen=fen,
        watched_bp=standing.used_bp,
        policy=standing.why,
        points=points,
        access_ends=bool(line.scope) and nothing_left and (fen > 0 or full),
        gifts=sum(1 for gift in taken if gift.line_id == line.pk),
    )
