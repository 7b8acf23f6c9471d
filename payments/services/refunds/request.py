"""Asking for money back. The amount is reserved here; the platform is asked after the commit."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils.translation import gettext as _

from kernel import clock, staff
from kernel.errors import Forbidden, InvalidInput, InvariantBroken, NotFound
from kernel.ids import new_no
from kernel.queue import wake
from payments import refund_rules
from payments.errors import NothingToRefund, OrderNotPaid, RefundNotByMerchant
from payments.locks import gifts_locked, order_locked, payment_locked
from payments.models import Gift, Order, OrderLine, Payment, Product, Refund, RefundLine
from payments.refund_rules import Room
from payments.services.refunds.policy import Standing, standings

if TYPE_CHECKING:
    from accounts.models import User

PAID = (Order.Status.PAID, Order.Status.PARTIALLY_REFUNDED, Order.Status.REFUNDED)
_OVER = (Refund.Status.CLOSED, Refund.Status.REJECTED)


@dataclass(frozen=True)
class Held:
    """A paid order with everything that its refund touches, read under its locks."""

    order: Order
    payment: Payment
    lines: Mapping[int, OrderLine]  # by line_no
    gifts: Sequence[Gift]


@transaction.atomic
def refund_request(
    *,
    order_id: int,
    by: "User",
    reason: str,
    cause: str = Refund.Cause.USER,
    lines: Sequence[Mapping[str, int]] = (),
    amount_fen: int | None = None,
) -> Refund:
    """A requested refund whose amount is reserved on payment and lines, so that requests never
    add up to more than was paid; it is asked for after the commit, unless it waits for approval.

    `lines` ([{line_no, amount_fen}]) say what; `amount_fen` alone is spread over the lines;
    neither means all that there is. The buyer (cause user) gets what the policy gives, an
    operator anything up to the paid rest. Above the limit a second person decides first. Holds
    order, payment and the order's gifts. Raises `OrderNotPaid`, `NothingToRefund`,
    `RefundExceedsPaid`, `RefundNotInPolicy`, `RefundNotByMerchant`, `InvalidInput`, `Forbidden`
    and, for somebody else's order, `NotFound`.
    """
    by_staff = cause == Refund.Cause.OPERATOR
    if by_staff and not by.has_perm("payments.add_refund"):
        raise Forbidden
    if by_staff and not reason.strip():
        raise InvalidInput(fields={"reason": [_("请填写退款原因。")]})
    held = order_held(order_id)
    if not by_staff and held.order.user_id != by.pk:
        raise NotFound
    if held.payment.by_apple:
        raise RefundNotByMerchant
    at = clock.now()
    all_ = standings(
        order=held.order,
        payment=held.payment,
        lines=list(held.lines.values()),
        gifts=held.gifts,
        at=at,
    )
    rooms = [s.whole_room if by_staff else s.room for s in all_]
    parts = parts_of(rooms, lines=lines, amount_fen=amount_fen)
    refund = _reserve(
        held,
        parts,
        pieces=pieces_for(all_, parts, exact=not by_staff),
        cause=cause,
        reason=reason.strip(),
        by=by,
        waiting=_needs_second_person(held.order, sum(parts.values()), by if by_staff else None),
        at=at,
    )
    if by_staff:
        staff.record(
            by=by,
            action="payments.refund_request",
            target=f"order:{held.order.no}",
            reason=refund.reason,
            refund=refund.out_refund_no,
            amount_fen=refund.amount_fen,
        )
    return refund


@transaction.atomic
def refund_by_shop(
    *, order_id: int, reason: str, gift_ids: Collection[int] | None = None
) -> Refund | None:
    """Money that goes back though nobody asked: a group that failed, gifts nobody claimed.

    All that is left of the order, or with `gift_ids` the worth of those of them that nobody
    has claimed; None when that is nothing. Needs no approval. Holds order, payment and gifts.
    Raises `OrderNotPaid`, `RefundNotByMerchant`.
    """
    try:
        held = order_held(order_id)
    except NothingToRefund:
        return None
    if held.payment.by_apple:
        raise RefundNotByMerchant
    pieces = [g for g in held.gifts if g.status == Gift.Status.ISSUED]
    parts = {no: _left(line) for no, line in held.lines.items() if _left(line)}
    if gift_ids is not None:
        pieces, parts = _worth_of([g for g in pieces if g.pk in gift_ids], held, parts)
    if not parts:
        return None
    return _reserve(
        held,
        parts,
        pieces=pieces,
        cause=Refund.Cause.OPERATOR,
        reason=reason,
        by=None,
        waiting=False,
        at=clock.now(),
    )


def _worth_of(
    gifts: Sequence[Gift], held: Held, left: Mapping[int, int]
) -> tuple[list[Gift], dict[int, int]]:
    """The gifts whose worth is still there, and that worth by line."""
    numbers = {line.pk: no for no, line in held.lines.items()}
    parts: dict[int, int] = {}
    pieces = []
    for gift in gifts:
        no = numbers[gift.line_id]
        fen = parts.get(no, 0) + gift.amount_fen
        if gift.amount_fen and fen <= left.get(no, 0):
            parts[no] = fen
            pieces.append(gift)
    return pieces, parts


def order_held(order_id: int) -> Held:
    """The paid order, its effective payment, lines and gifts, held.

    Raises `OrderNotPaid`, and `NothingToRefund` for an order that cost nothing.
    """
    order = order_locked(order_id)
    payment_id = payment_to_refund(order)
    payment = payment_locked(payment_id)
    lines = {line.line_no: line for line in order.lines.order_by("line_no")}
    has_gifts = any(line.kind == Product.Kind.GIFT for line in lines.values())
    return Held(order, payment, lines, gifts_locked(order_id) if has_gifts else [])


def payment_to_refund(order: Order) -> int:
    """The key of the payment that paid the order. Raises `OrderNotPaid`, `NothingToRefund`."""
    if order.status not in PAID:
        raise OrderNotPaid(status=order.status)
    paid_by = Payment.objects.filter(order=order, effective=True).values_list("pk", flat=True)
    payment_id = paid_by.first()
    if payment_id is None:
        raise NothingToRefund
    return payment_id


def parts_of(
    rooms: Sequence[Room], *, lines: Sequence[Mapping[str, int]], amount_fen: int | None
) -> dict[int, int]:
    """What goes back of each line (line_no → fen > 0). Raises what `refund_request` does."""
    if lines:
        asked = _asked(rooms, lines)
        if amount_fen is not None and amount_fen != sum(asked.values()):
            raise InvalidInput(fields={"amount_fen": [_("与各行金额之和不一致。")]})
        return refund_rules.parts_asked(rooms, asked)
    if amount_fen is not None:
        if amount_fen <= 0:
            raise InvalidInput(fields={"amount_fen": [_("退款金额须大于 0。")]})
        return refund_rules.parts_spread(rooms, amount_fen)
    parts = refund_rules.parts_all(rooms)
    if not parts:
        raise NothingToRefund
    return parts


def _asked(rooms: Sequence[Room], lines: Sequence[Mapping[str, int]]) -> dict[int, int]:
    known = {room.line_no for room in rooms}
    asked: dict[int, int] = {}
    for line in lines:
        number, fen = line["line_no"], line["amount_fen"]
        if number not in known:
            raise InvalidInput(fields={"lines": [_("订单没有第 %s 行。") % number]})
        if number in asked:
            raise InvalidInput(fields={"lines": [_("第 %s 行重复。") % number]})
        if fen <= 0:
            raise InvalidInput(fields={"lines": [_("退款金额须大于 0。")]})
        asked[number] = fen
    return asked


def pieces_for(all_: Sequence[Standing], parts: Mapping[int, int], *, exact: bool) -> list[Gift]:
    """The unclaimed codes that go back with the money of gift lines.

    A buyer gives back whole pieces. An operator may give any amount: the codes that fit into it
    go back, the rest is goodwill.
    """
    taken: list[Gift] = []
    for standing in all_:
        fen = parts.get(standing.line.line_no, 0)
        if not fen or standing.line.kind != Product.Kind.GIFT:
            continue
        worth = [piece.amount_fen for piece in standing.pieces]
        places = refund_rules.pieces_exact(worth, fen)
        if places is None and exact:
            pieces = "、".join(str(fen) for fen in worth)
            text = _("礼品按整份退款，各份金额(分)为：%s。") % pieces
            raise InvalidInput(fields={"lines": [text]})
        places = refund_rules.pieces_within(worth, fen) if places is None else places
        taken += [standing.pieces[place] for place in places]
    return taken


def _needs_second_person(order: Order, amount_fen: int, operator: "User | None") -> bool:
    """Above the limit, or the order is the operator's own."""
    own = operator is not None and operator.pk == order.user_id
    return own or above_limit(order, amount_fen)


def above_limit(order: Order, amount_fen: int) -> bool:
    """Whether this much more of the order needs a second person. All that was asked for without
    one counts together: parts are no way around it."""
    alone = order.refunds.filter(
        cause__in=(Refund.Cause.USER, Refund.Cause.OPERATOR),
        requested_by__isnull=False,
        approval=Refund.Approval.NONE,
    ).exclude(status__in=_OVER)
    so_far = alone.aggregate(fen=Sum("amount_fen"))["fen"] or 0
    return so_far + amount_fen > settings.KPAY.refund_auto_limit_fen


def _reserve(
    held: Held,
    parts: Mapping[int, int],
    *,
    pieces: Sequence[Gift],
    cause: str,
    reason: str,
    by: "User | None",
    waiting: bool,
    at: datetime,
) -> Refund:
    amount = sum(parts.values())
    due_at = None if waiting else next_turn(held.payment, at)
    refund = Refund.objects.create(
        order=held.order,
        payment=held.payment,
        out_refund_no=new_no(),
        amount_fen=amount,
        cause=cause,
        reason=reason[:200],
        requested_by=by,
        approval=Refund.Approval.WAITING if waiting else Refund.Approval.NONE,
        created_at=at,
        next_check_at=due_at,
    )
    refund_reserve(refund=refund, lines=held.lines, parts=parts)
    for piece in pieces:
        piece.status = Gift.Status.RETURNING
        piece.refund = refund
        piece.next_sweep_at = None
        piece.save(update_fields=["status", "refund", "next_sweep_at"])
    if due_at is not None:
        ask_soon()
    return refund


def refund_reserve(
    *, refund: Refund, lines: Mapping[int, OrderLine], parts: Mapping[int, int]
) -> None:
    """Its amount counts as refunding on payment and lines. Order and payment are held."""
    RefundLine.objects.bulk_create(
        RefundLine(refund=refund, line=lines[no], amount_fen=fen) for no, fen in parts.items()
    )
    for no, fen in parts.items():
        room = OrderLine.objects.filter(
            pk=lines[no].pk, payable_fen__gte=F("refunding_fen") + F("refunded_fen") + fen
        )
        if not room.update(refunding_fen=F("refunding_fen") + fen):
            raise InvariantBroken("a refund is larger than its line's rest")
    payment_reserve(refund)


def payment_reserve(refund: Refund) -> None:
    """Its amount counts as refunding on its payment."""
    fen = refund.amount_fen
    room = Payment.objects.filter(
        pk=refund.payment_id, amount_fen__gte=F("refunding_fen") + F("refunded_fen") + fen
    )
    if not room.update(refunding_fen=F("refunding_fen") + fen):
        raise InvariantBroken("a refund is larger than its payment's rest")


def next_turn(payment: Payment, at: datetime) -> datetime:
    """When one more refund of the held payment may be asked for: a minute after the last (D5).

    Requests that wait for their first turn are lined up; after one that was asked for already,
    at a moment that no column keeps, a whole minute passes from now.
    """
    turns = [at]
    rows = Refund.objects.filter(payment=payment).exclude(status__in=_OVER)
    for status, checks, planned, success_at in rows.values_list(
        "status", "checks", "next_check_at", "success_at"
    ):
        if status == Refund.Status.SUCCEEDED:
            asked_at = success_at
        elif status == Refund.Status.REQUESTED and not checks:
            asked_at = planned  # None while it waits for approval
        else:
            asked_at = at
        if asked_at is not None:
            turns.append(asked_at + refund_rules.SPACING)
    return max(turns)


def ask_soon() -> None:
    """After the commit a worker looks for due refunds now."""
    transaction.on_commit(lambda: wake("payments.send_refunds"), robust=True)


def _left(line: OrderLine) -> int:
    return line.payable_fen - line.refunded_fen - line.refunding_fen
