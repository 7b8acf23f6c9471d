"""Claiming coupons within budget and limit, and expiring those nobody used."""

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q

from incentives.errors import (
    CouponLimitReached,
    CouponNotClaimable,
    CouponNotFound,
    CouponSoldOut,
)
from incentives.locks import claim_rank, coupons_locked
from incentives.models import Coupon, CouponTemplate, TemplateUser
from kernel import clock
from kernel.transactions import retrying


def coupon_claim(
    *, user_id: int, template_id: int | None = None, code: str | None = None
) -> Coupon:
    """A new coupon of the template named by its id or by its claim code.

    Counters move by conditional UPDATEs, the user's own row before the template's, so that any
    number of clients get exactly the budget and nobody waits in a ring. Raises CouponNotFound,
    CouponNotClaimable, CouponLimitReached, CouponSoldOut; then nothing has changed.
    """
    return retrying(lambda: _claim(user_id, template_id, code))


@transaction.atomic
def _claim(user_id: int, template_id: int | None, code: str | None) -> Coupon:
    template = _template(template_id, code)
    if not _open(template, by_code=bool(code)):
        raise CouponNotClaimable
    if _sold_out(template):  # spares the locks; the UPDATE below decides
        raise CouponSoldOut
    claim_rank()
    _count_for_user(template, user_id)
    _count_for_template(template)
    now = clock.now()
    return Coupon.objects.create(
        template=template,
        user_id=user_id,
        value_fen=template.discount_fen,
        min_fen=template.min_fen,
        expires_at=now + timedelta(days=template.valid_days),
        created_at=now,
    )


def _template(template_id: int | None, code: str | None) -> CouponTemplate:
    named = Q(code=code) if code else Q(pk=template_id)
    template = CouponTemplate.objects.filter(named, active=True).first()
    if template is None:
        raise CouponNotFound
    return template


def _open(template: CouponTemplate, *, by_code: bool) -> bool:
    now = clock.now()
    if template.claim_from is not None and now < template.claim_from:
        return False
    if template.claim_until is not None and now >= template.claim_until:
        return False
    return by_code or template.claimable


def _sold_out(template: CouponTemplate) -> bool:
    count, fen = template.budget_count, template.budget_fen
    return (count is not None and template.claimed_count >= count) or (
        fen is not None and template.claimed_fen + template.discount_fen > fen
    )


def _count_for_user(template: CouponTemplate, user_id: int) -> None:
    TemplateUser.objects.bulk_create(
        [TemplateUser(template=template, user_id=user_id, allowed=template.per_user)],
        ignore_conflicts=True,
    )
    counted = TemplateUser.objects.filter(
        template=template, user_id=user_id, claimed__lt=template.per_user
    ).update(claimed=F("claimed") + 1, allowed=template.per_user)
    if not counted:
        raise CouponLimitReached(per_user=template.per_user)


def _count_for_template(template: CouponTemplate) -> None:
    value = template.discount_fen
    counted = (
        CouponTemplate.objects.filter(pk=template.pk, active=True, discount_fen=value)
        .filter(Q(budget_count__isnull=True) | Q(claimed_count__lt=F("budget_count")))
        .filter(Q(budget_fen__isnull=True) | Q(claimed_fen__lte=F("budget_fen") - value))
        .update(claimed_count=F("claimed_count") + 1, claimed_fen=F("claimed_fen") + value)
    )
    if not counted:
        raise CouponSoldOut


def coupons_expire(*, limit: int = 1000) -> int:
    """Expire up to `limit` overdue free coupons; returns how many."""
    now = clock.now()
    overdue = list(
        Coupon.objects.filter(status__in=Coupon.FREE, expires_at__lte=now)
        .order_by("pk")
        .values_list("pk", flat=True)[:limit]
    )
    with transaction.atomic():
        due = [coupon.pk for coupon in coupons_locked(overdue)]
        return Coupon.objects.filter(
            pk__in=due, status__in=Coupon.FREE, expires_at__lte=now
        ).update(status=Coupon.Status.EXPIRED)
