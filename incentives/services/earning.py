"""Points for facts that the server saw, and their return when a purchase is refunded."""

from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from incentives import ledger, rules
from incentives.locks import wallet_locked
from incentives.models import EarningRule, PointClawback, PointEntry, PointsWallet
from incentives.selectors import earned
from payments.models import Order, Refund

# Late and double money never belonged to the order: its return takes nothing from the buyer.
CAUSES_OF_ITS_OWN = (Refund.Cause.USER, Refund.Cause.OPERATOR, Refund.Cause.PLATFORM)


@transaction.atomic
def points_earn(*, user_id: int, kind: str, ref: str, points: int, text: str = "") -> int:
    """Grant `points` for the fact `kind:ref`, once; returns how many were granted.

    0 when the fact has earned before, when no rule of `kind` is in force, or when its daily or
    lifetime cap is reached; fewer than `points` when the cap leaves fewer. Holds the wallet.
    """
    wallet = wallet_locked(user_id)
    rule = EarningRule.objects.filter(kind=kind, active=True).first()
    if rule is None or points < 1:
        return 0
    return _earn(wallet, rule, points, f"{kind}:{ref}", text or str(EarningRule.Kind(kind).label))


def _earn(wallet: PointsWallet, rule: EarningRule, points: int, ref: str, text: str) -> int:
    if PointEntry.objects.filter(
        user_id=wallet.user_id, ref=ref, kind=PointEntry.Kind.EARN
    ).exists():
        return 0
    today, ever = earned(wallet.user_id).get(rule.kind, (0, 0))
    allowed = rules.within_caps(
        points,
        earned_today=today,
        earned_ever=ever,
        daily_cap=rule.daily_cap,
        lifetime_cap=rule.lifetime_cap,
    )
    if allowed:
        ledger.lot_grant(
            wallet,
            points=allowed,
            source=rule.kind,
            ref=ref,
            text=text,
            valid_days=rule.valid_days,
        )
    return allowed


def _points_of_rule(kind: str) -> int:
    """What the rule in force gives, 0 without one."""
    found = EarningRule.objects.filter(kind=kind, active=True).values_list("points", flat=True)
    return found.first() or 0


def lesson_finished_reward(*, user_id: int, lesson_id: int) -> int:
    """Points for a finished lesson, once per user and lesson; returns how many."""
    kind = EarningRule.Kind.LESSON_FINISHED
    return points_earn(user_id=user_id, kind=kind, ref=str(lesson_id), points=_points_of_rule(kind))


def purchase_reward(*, user_id: int, order_no: str, payable_fen: int) -> int:
    """Points for a paid order, once. An order that cost no money or is refunded earns nothing."""
    if payable_fen <= 0:
        return 0
    if Order.objects.filter(no=order_no, status=Order.Status.REFUNDED).exists():
        return 0
    kind = EarningRule.Kind.PURCHASE
    return points_earn(user_id=user_id, kind=kind, ref=order_no, points=_points_of_rule(kind))


@transaction.atomic
def purchase_clawback(*, user_id: int, order_no: str, out_refund_no: str) -> int:
    """Take back the refund's share of what the order earned, once; returns what it took now.

    What all refunds of an order take adds up to what it earned. What the user has spent already
    goes to the wallet's shortfall, which later points settle. Holds the wallet.
    """
    refund = Refund.objects.select_related("order").get(out_refund_no=out_refund_no)
    if refund.cause not in CAUSES_OF_ITS_OWN:
        return 0
    wallet = wallet_locked(user_id)
    if PointClawback.objects.filter(out_refund_no=out_refund_no).exists():
        return 0
    got = PointEntry.objects.filter(
        user_id=user_id,
        kind=PointEntry.Kind.EARN,
        ref=f"{EarningRule.Kind.PURCHASE}:{order_no}",
    ).first()
    share = _refund_share(got.delta, refund) if got is not None else 0
    if got is None or not share:
        return 0
    taken = ledger.points_claw(
        wallet,
        points=share,
        first_lot_id=got.lot_id,
        order_no=order_no,
        ref=out_refund_no,
        text=_("退款收回购买积分"),
    )
    PointClawback.objects.create(
        user_id=user_id,
        out_refund_no=out_refund_no,
        order_no=order_no,
        points=share,
        taken=taken,
    )
    return share


def _refund_share(points: int, refund: Refund) -> int:
    """What all of the order's own refunds so far take back, less what they took already.

    However they succeeded and in whatever order they are told, they add up to `points`.
    """
    order = refund.order
    gone = (
        Refund.objects.filter(
            order=order, status=Refund.Status.SUCCEEDED, cause__in=CAUSES_OF_ITS_OWN
        ).aggregate(fen=Sum("amount_fen"))["fen"]
        or 0
    )
    due = rules.clawback_share(points, before_fen=0, refund_fen=gone, payable_fen=order.payable_fen)
    taken = PointClawback.objects.filter(order_no=order.no).aggregate(points=Sum("points"))
    return due - (taken["points"] or 0)
