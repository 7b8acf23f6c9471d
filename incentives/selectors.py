"""Reads of points, coupons and offers, each in a fixed number of queries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from accounts.models import User
from incentives import rules
from incentives.models import (
    CheckIn,
    Coupon,
    CouponTemplate,
    EarningRule,
    PointEntry,
    PointLot,
    TemplateUser,
)
from kernel import clock
from kernel.money import yuan

SOON = timedelta(days=30)


@dataclass(frozen=True)
class Offer:
    """Something this user may have by a public rule; the recommender decides the order.

    `features` are numbers for ranking, none of them about the person: `value_fen` (what it is
    worth), `effort` (0 a tap, 1 a lesson, 2 a purchase), `urgency` (0 to 1, 1 = ends now).
    """

    id: str
    kind: str
    title: str
    rule_text: str
    expires_at: datetime | None
    claim_url: str
    scopes: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)


def points_balance(user_id: int, *, at: datetime | None = None) -> int:
    """What the user can spend now: the rest of the lots that have not expired. One query.

    With `at`: what of it could still be spent at that moment.
    """
    found = PointLot.objects.filter(
        user_id=user_id, remaining__gt=0, expires_at__gt=at or clock.now()
    ).aggregate(left=Coalesce(Sum("remaining"), 0))
    return int(found["left"])


def points_expiring(user_id: int, *, within: timedelta = SOON) -> list[PointLot]:
    """Lots whose rest expires soon, the first first."""
    now = clock.now()
    return list(
        PointLot.objects.filter(
            user_id=user_id, remaining__gt=0, expires_at__gt=now, expires_at__lte=now + within
        ).order_by("expires_at", "pk")
    )


def get_entries_for_user(*, user_id: int) -> QuerySet[PointEntry]:
    """The user's points entries, for keyset pages by `-created_at`, `-pk`."""
    return PointEntry.objects.filter(user_id=user_id)


def get_coupons_for_user(*, user_id: int) -> QuerySet[Coupon]:
    """The user's coupons with their templates."""
    return Coupon.objects.filter(user_id=user_id).select_related("template")


def with_status(coupons: QuerySet[Coupon], status: str) -> QuerySet[Coupon]:
    """Those of `coupons` whose `coupon_status` is `status`."""
    overdue = Q(status__in=Coupon.FREE, expires_at__lte=clock.now())
    if status == Coupon.Status.EXPIRED:
        return coupons.filter(overdue | Q(status=status))
    return coupons.filter(~overdue, status=status)


def coupon_status(coupon: Coupon) -> str:
    """The status as of now: an overdue free coupon is expired before the sweep has said so."""
    if coupon.status in Coupon.FREE and coupon.expires_at <= clock.now():
        return Coupon.Status.EXPIRED
    return coupon.status


def check_in_today(user_id: int) -> CheckIn | None:
    """Today's check-in in the shop's time zone, if there was one."""
    return CheckIn.objects.filter(user_id=user_id, day=clock.local_date()).first()


def earned(user_id: int) -> dict[str, tuple[int, int]]:
    """`{kind: (today, ever)}` points earned, by the shop's calendar. One query."""
    now = clock.now()
    midnight = now.astimezone(clock.SHOP_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = (
        PointLot.objects.filter(user_id=user_id)
        .values("source")
        .annotate(
            ever=Sum("granted"),
            today=Coalesce(Sum("granted", filter=Q(created_at__gte=midnight)), 0),
        )
        .order_by()
    )
    return {row["source"]: (int(row["today"]), int(row["ever"])) for row in rows}


def claimable_templates(user_id: int) -> QuerySet[CouponTemplate]:
    """Templates that the user can claim from now: public, with budget and the user's limit left."""
    now = clock.now()
    mine = TemplateUser.objects.filter(template=OuterRef("pk"), user_id=user_id)
    return (
        CouponTemplate.objects.filter(active=True, claimable=True)
        .filter(Q(claim_from__isnull=True) | Q(claim_from__lte=now))
        .filter(Q(claim_until__isnull=True) | Q(claim_until__gt=now))
        .filter(Q(budget_count__isnull=True) | Q(claimed_count__lt=F("budget_count")))
        .filter(
            Q(budget_fen__isnull=True) | Q(budget_fen__gte=F("claimed_fen") + F("discount_fen"))
        )
        .annotate(mine=Coalesce(Subquery(mine.values("claimed")[:1]), 0))
        .filter(mine__lt=F("per_user"))
        .order_by("pk")
    )


def entitled_offers(user: User) -> list[Offer]:
    """Claimable coupons and open points tasks of this user, in no order of merit. Three queries."""
    return [*_coupon_offers(user), *_task_offers(user)]


def _coupon_offers(user: User) -> list[Offer]:
    now = clock.now()
    return [
        Offer(
            id=f"coupon:{template.pk}",
            kind="coupon",
            title=template.title,
            rule_text=coupon_rule_text(template),
            expires_at=template.claim_until,
            claim_url="/api/v1/coupons/claim",
            scopes=tuple(template.scopes),
            features={
                "value_fen": float(template.discount_fen),
                "effort": 0.0,
                "urgency": _urgency(template, now),
            },
        )
        for template in claimable_templates(user.pk)[:100]
    ]


def _urgency(template: CouponTemplate, now: datetime) -> float:
    """The larger of: share of the budget that is gone; 1 − days left / 30."""
    gone = template.claimed_count / template.budget_count if template.budget_count else 0.0
    if template.claim_until is None:
        return gone
    left = (template.claim_until - now).total_seconds() / SOON.total_seconds()
    return max(gone, 1.0 - min(max(left, 0.0), 1.0))


def coupon_rule_text(template: CouponTemplate) -> str:
    """The rule as a learner reads it: 满 100 元减 20 元，领取后 30 天内有效。"""
    facts = {
        "off": short_yuan(template.discount_fen),
        "floor": short_yuan(template.min_fen),
        "days": template.valid_days,
    }
    if template.min_fen:
        return _("满 %(floor)s 元减 %(off)s 元，领取后 %(days)s 天内有效。") % facts
    return _("立减 %(off)s 元，领取后 %(days)s 天内有效。") % facts


def short_yuan(fen: int) -> str:
    """2000 → "20", 990 → "9.90": as rules are written."""
    return yuan(fen).removesuffix(".00")


_TASK_PATHS = {
    EarningRule.Kind.CHECK_IN: "/api/v1/points/check-in",
    EarningRule.Kind.LESSON_FINISHED: "/api/v1/me/continue",
    EarningRule.Kind.PURCHASE: "/api/v1/courses",
}
_EFFORT = {EarningRule.Kind.CHECK_IN: 0.0, EarningRule.Kind.LESSON_FINISHED: 1.0}


def _task_offers(user: User) -> list[Offer]:
    today = CheckIn.objects.filter(user_id=user.pk, day=clock.local_date())
    in_force = EarningRule.objects.filter(active=True, kind__in=list(_TASK_PATHS)).annotate(
        done_today=Exists(today)
    )
    had = earned(user.pk)
    offers = []
    for rule in in_force.order_by("pk"):
        if rule.kind == EarningRule.Kind.CHECK_IN and rule.done_today:
            continue
        day, ever = had.get(rule.kind, (0, 0))
        points = rules.within_caps(
            rule.points,
            earned_today=day,
            earned_ever=ever,
            daily_cap=rule.daily_cap,
            lifetime_cap=rule.lifetime_cap,
        )
        if points:
            offers.append(_task_offer(rule, points))
    return offers


def _task_offer(rule: EarningRule, points: int) -> Offer:
    kind = EarningRule.Kind(rule.kind)
    return Offer(
        id=f"points_task:{rule.kind}",
        kind="points_task",
        title=str(kind.label),
        rule_text=_("完成后可得 %(points)s 积分，%(days)s 天内有效。")
        % {"points": points, "days": rule.valid_days},
        expires_at=None,
        claim_url=_TASK_PATHS[kind],
        features={
            "value_fen": float(points),
            "effort": _EFFORT.get(kind, 2.0),
            "urgency": 0.0,
        },
    )
