"""What follows when money has gone back, in the one transaction that says so."""

from collections.abc import Mapping, Sequence

from django.db.models import F
from django.utils.translation import gettext as _

from kernel.errors import InvariantBroken
from kernel.locks import LockRank, note_rank
from kernel.outbox import publish
from payments import ledger, refund_rules, rules
from payments.events import RefundSucceeded
from payments.locks import gifts_locked
from payments.models import (
    Effect,
    Entitlement,
    Gift,
    Group,
    Invoice,
    Order,
    OrderLine,
    Payment,
    Product,
    Refund,
    RefundLine,
)
from payments.ports import RefundShare, discount_source
from payments.services.endings import discounts_of
from payments.services.entitlements import entitlement_revoke
from payments.services.shares import shares_return


def stray_refund_follows(order: Order, payment: Payment, refund: Refund) -> None:
    """Money that was never the order's is gone from payment and books."""
    _payment_figures(payment, refund)
    ledger.post_stray_refund(
        ref=refund.out_refund_no, channel=payment.channel, amount_fen=refund.amount_fen
    )
    _tell(order, refund)


def policy_refund_follows(order: Order, payment: Payment, refund: Refund) -> None:
    """The order is poorer by the refund, and so is everything that came of its money.

    Figures of payment, lines and order; the rights of lines that are fully refunded end (of all
    lines when nothing is left); points go back by share, the coupon when nothing is left;
    creators' shares are taken back; gifts, group and invoice follow; two journals. Order,
    payment and refund are held.
    """
    lines = list(order.lines.order_by("line_no"))
    parts = _parts(lines, refund)
    before_fen = order.refunded_fen
    full = before_fen + refund.amount_fen == order.payable_fen
    ended = [line for line in lines if _ends(line, parts, full=full)]
    discount_fen = _discount_back(lines, parts, full=full)

    _payment_figures(payment, refund)
    _order_figures(order, parts, refund, full=full)
    if full and order.group_id is not None:
        _leave_group(order.group_id)
    revoked = _gifts(order, refund, lines, parts, ended)
    _invoices(order)
    _discounts(order, refund, before_fen, full=full)
    ledger.post_refund(
        ref=refund.out_refund_no,
        channel=payment.channel,
        amount_fen=refund.amount_fen,
        discount_fen=discount_fen,
        points_value_fen=refund_rules.share_of(
            order.points_value_fen,
            before_fen=before_fen,
            now_fen=refund.amount_fen,
            of_fen=order.payable_fen,
        ),
    )
    shares_return(parts=parts, ref=refund.out_refund_no)
    why = _("退款 %s") % refund.out_refund_no
    for line in ended:
        if line.scope:
            entitlement_revoke(
                source=Entitlement.Source.ORDER, source_ref=order.no, scope=line.scope, reason=why
            )
    for gift in revoked:
        entitlement_revoke(
            source=Entitlement.Source.GIFT, source_ref=str(gift.pk), scope=gift.scope, reason=why
        )
    _tell(order, refund)


def _parts(lines: Sequence[OrderLine], refund: Refund) -> dict[OrderLine, int]:
    """What goes back of each line, which still shows its figures from before."""
    by_pk = {line.pk: line for line in lines}
    rows = RefundLine.objects.filter(refund=refund).order_by("pk")
    parts = {by_pk[row.line_id]: row.amount_fen for row in rows}
    if sum(parts.values()) != refund.amount_fen:
        raise InvariantBroken("a refund's lines add up to its amount")
    return parts


def _ends(line: OrderLine, parts: Mapping[OrderLine, int], *, full: bool) -> bool:
    """Whether nothing of the line is left now. A line that cost nothing ends with the order."""
    if not line.payable_fen:
        return full
    return line in parts and line.refunded_fen + parts[line] == line.payable_fen


def _discount_back(
    lines: Sequence[OrderLine], parts: Mapping[OrderLine, int], *, full: bool
) -> int:
    """The part of the lines' discounts that goes with this refund; all of it in the end."""
    back = sum(
        refund_rules.share_of(
            line.discount_fen, before_fen=line.refunded_fen, now_fen=fen, of_fen=line.payable_fen
        )
        for line, fen in parts.items()
    )
    return back + sum(line.discount_fen for line in lines if full and not line.payable_fen)


def _payment_figures(payment: Payment, refund: Refund) -> None:
    Payment.objects.filter(pk=payment.pk).update(
        refunding_fen=F("refunding_fen") - refund.amount_fen,
        refunded_fen=F("refunded_fen") + refund.amount_fen,
    )


def _order_figures(
    order: Order, parts: Mapping[OrderLine, int], refund: Refund, *, full: bool
) -> None:
    for line, fen in parts.items():
        OrderLine.objects.filter(pk=line.pk).update(
            refunding_fen=F("refunding_fen") - fen, refunded_fen=F("refunded_fen") + fen
        )
    then = Order.Status.REFUNDED if full else Order.Status.PARTIALLY_REFUNDED
    rules.may_move(rules.ORDER_MOVES, order.status, then)
    order.status = then
    order.refunded_fen += refund.amount_fen
    order.save(update_fields=["status", "refunded_fen"])


def _leave_group(group_id: int) -> None:
    """The member's seat in a group that still forms is free; others are not touched."""
    note_rank(LockRank.GROUP)
    Group.objects.filter(pk=group_id, status=Group.Status.OPEN, paid_count__gt=0).update(
        paid_count=F("paid_count") - 1
    )


def _gifts(
    order: Order,
    refund: Refund,
    lines: Sequence[OrderLine],
    parts: Mapping[OrderLine, int],
    ended: Sequence[OrderLine],
) -> list[Gift]:
    """Codes that came back with the money are returned. Of a line of which nothing is left all
    codes end, claimed ones too: those are given to the caller, who ends their rights."""
    if not any(line.kind == Product.Kind.GIFT for line in lines):
        return []
    gifts = gifts_locked(order.pk)
    back = {g.pk for g in gifts if g.refund_id == refund.pk and g.status == Gift.Status.RETURNING}
    if refund.cause == Refund.Cause.PLATFORM:
        back |= _chosen_now(gifts, parts)
    over = {line.pk for line in ended}
    revoked = []
    for gift in gifts:
        unclaimed = gift.status in (Gift.Status.ISSUED, Gift.Status.RETURNING)
        if unclaimed and (gift.pk in back or gift.line_id in over):
            gift.status, gift.refund, gift.next_sweep_at = Gift.Status.RETURNED, refund, None
        elif gift.status == Gift.Status.CLAIMED and gift.line_id in over:
            gift.status = Gift.Status.REVOKED
            revoked.append(gift)
        else:
            continue
        gift.save(update_fields=["status", "refund", "next_sweep_at"])
    return revoked


def _chosen_now(gifts: Sequence[Gift], parts: Mapping[OrderLine, int]) -> set[int]:
    """A refund that began at the platform chose no codes: those that fit into it go."""
    chosen: set[int] = set()
    for line, fen in parts.items():
        free = [g for g in gifts if g.line_id == line.pk and g.status == Gift.Status.ISSUED]
        places = refund_rules.pieces_within([g.amount_fen for g in free], fen)
        chosen |= {free[place].pk for place in places}
    return chosen


def _invoices(order: Order) -> None:
    """A requested invoice is over what is left, an issued one has to be corrected."""
    net = order.payable_fen - order.refunded_fen
    asked = Invoice.objects.filter(order=order, status=Invoice.Status.REQUESTED)
    if net:
        asked.filter(amount_fen__gt=net).update(amount_fen=net)
    else:
        asked.update(amount_fen=0, status=Invoice.Status.CANCELLED)
    Invoice.objects.filter(order=order, status=Invoice.Status.ISSUED).update(
        status=Invoice.Status.TO_CORRECT
    )


def _discounts(order: Order, refund: Refund, before_fen: int, *, full: bool) -> None:
    if order.coupon_id is None and not order.points_used:
        return
    discount_source().give_back(
        discounts_of(order),
        RefundShare(
            refund_id=refund.pk,
            out_refund_no=refund.out_refund_no,
            amount_fen=refund.amount_fen,
            points=refund_rules.share_of(
                order.points_used,
                before_fen=before_fen,
                now_fen=refund.amount_fen,
                of_fen=order.payable_fen,
            ),
            full=full,
        ),
    )


def _tell(order: Order, refund: Refund) -> None:
    Effect.objects.create(kind="refund", business_key=refund.out_refund_no, ref=order.no)
    publish(
        RefundSucceeded(
            refund_id=refund.pk,
            out_refund_no=refund.out_refund_no,
            order_id=order.pk,
            order_no=order.no,
            user_id=order.user_id,
            amount_fen=refund.amount_fen,
            cause=refund.cause,
        ),
        key=order.no,
    )
