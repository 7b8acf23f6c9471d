"""What each line of a paid order may still give back, to its buyer and to an operator. Reads."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _

from payments import ports, refund_rules
from payments.models import Entitlement, Gift, Order, OrderLine, Payment, Product, RefundPolicy
from payments.refund_rules import DEFAULT_POLICY, Policy, Room


@dataclass(frozen=True)
class Standing:
    """A line as refunds see it. `pieces` are a gift line's codes that nobody has claimed."""

    line: OrderLine
    used_bp: int
    left_fen: int
    allowed_fen: int
    why: str
    pieces: tuple[Gift, ...] = ()

    @property
    def room(self) -> Room:
        """For who gets what the policy gives."""
        return Room(self.line.line_no, self.left_fen, self.allowed_fen)

    @property
    def whole_room(self) -> Room:
        """For who may give back all that was paid."""
        return Room(self.line.line_no, self.left_fen, self.left_fen)


def standings(
    *,
    order: Order,
    payment: Payment | None,
    lines: Sequence[OrderLine],
    gifts: Collection[Gift],
    at: datetime,
) -> list[Standing]:
    """How each line of the paid order stands at that moment. `gifts` are the order's codes."""
    policies = _policies(lines)
    periods = _periods(order, lines)
    return [
        _standing(
            order,
            payment,
            line,
            policy=policies[line.pk],
            period=periods.get(line.scope),
            pieces=tuple(
                g for g in gifts if g.line_id == line.pk and g.status == Gift.Status.ISSUED
            ),
            at=at,
        )
        for line in lines
    ]


def _standing(
    order: Order,
    payment: Payment | None,
    line: OrderLine,
    *,
    policy: Policy,
    period: Entitlement | None,
    pieces: tuple[Gift, ...],
    at: datetime,
) -> Standing:
    gone = line.refunded_fen + line.refunding_fen
    left = line.payable_fen - gone
    if payment is None or not line.payable_fen:
        return Standing(line, 0, left, 0, _("该项没有实付金额，无可退款项。"), pieces)
    used = _used_bp(order, line, period, at)
    if payment.by_apple:
        return Standing(line, used, left, 0, _("苹果支付的订单由苹果受理退款。"), pieces)
    if not left:
        return Standing(line, used, 0, 0, _("已全部退款或正在退款。"), pieces)
    if line.kind == Product.Kind.GIFT:
        return _gift_standing(line, left, pieces)
    allowance = refund_rules.allowance(policy, age=at - (order.paid_at or at), used_bp=used)
    allowed = refund_rules.allowed_fen(
        payable_fen=line.payable_fen, gone_fen=gone, share_bp=allowance.share_bp
    )
    return Standing(line, used, left, allowed, allowance.why, pieces)


def _gift_standing(line: OrderLine, left: int, pieces: tuple[Gift, ...]) -> Standing:
    """Codes that nobody has claimed go back whole, at any time."""
    worth = [piece.amount_fen for piece in pieces]
    chosen = refund_rules.pieces_within(worth, left)
    if not chosen:
        return Standing(line, 0, left, 0, _("礼品已被领取，不再退款。"), pieces)
    text = _("还有 %(count)s 份礼品无人领取，可按份退款。") % {"count": len(chosen)}
    return Standing(line, 0, left, sum(worth[place] for place in chosen), text, pieces)


def _used_bp(order: Order, line: OrderLine, period: Entitlement | None, at: datetime) -> int:
    """Of a membership the time that is over, of anything else what was watched."""
    if line.period:
        if period is None:
            return 0
        return refund_rules.elapsed_bp(period.valid_from, period.valid_until, at)
    return ports.watched_bp(order.user_id, line.scope) if line.scope else 0


def _policies(lines: Sequence[OrderLine]) -> dict[int, Policy]:
    """By line: the row of its product, else of its kind, else for everything, else the default."""
    rows = RefundPolicy.objects.filter(
        Q(product__in={line.product_id for line in lines})
        | Q(product__isnull=True, kind__in={line.kind for line in lines} | {""})
    )
    found: Mapping[tuple[int | None, str], RefundPolicy] = {
        (row.product_id, row.kind): row for row in rows
    }
    chosen = {}
    for line in lines:
        keys = ((line.product_id, ""), (None, line.kind), (None, ""))
        row = next((found[key] for key in keys if key in found), None)
        chosen[line.pk] = DEFAULT_POLICY if row is None else _of_row(row)
    return chosen


def _of_row(row: RefundPolicy) -> Policy:
    unused = row.tail == RefundPolicy.Tail.UNUSED
    return Policy(row.full_days, row.full_below_bp, row.tail_days if unused else 0)


def _periods(order: Order, lines: Sequence[OrderLine]) -> dict[str, Entitlement]:
    scopes = [line.scope for line in lines if line.period]
    if not scopes:
        return {}
    rows = Entitlement.objects.filter(
        source=Entitlement.Source.ORDER,
        source_ref=order.no,
        user_id=order.user_id,
        scope__in=scopes,
    )
    return {row.scope: row for row in rows}
