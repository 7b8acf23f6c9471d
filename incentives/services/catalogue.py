"""Templates, rules and codes by their stable keys, as `provision` and operators save them."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from incentives.models import CouponTemplate, EarningRule, RedeemCode
from incentives.services.redeeming import code_set
from kernel.errors import InvalidInput


def _at_least(least: int, **numbers: int) -> None:
    """Raise InvalidInput for the first of `numbers` below `least`."""
    for name, number in numbers.items():
        if number < least:
            raise InvalidInput(fields={name: [_("不能小于 %(least)s。") % {"least": least}]})


@transaction.atomic
def coupon_template_save(
    *,
    key: str,
    title: str,
    discount_fen: int,
    min_fen: int = 0,
    budget_count: int | None = None,
    budget_fen: int | None = None,
    per_user: int = 1,
    valid_days: int = 30,
    scopes: Sequence[str] = (),
    code: str = "",
    claimable: bool = True,
    claim_until: datetime | None = None,
    active: bool = True,
) -> CouponTemplate:
    """The template named `key` says exactly this. Coupons claimed before keep their value.

    Raises InvalidInput for amounts below 1 and for budgets below what is claimed already.
    """
    _at_least(1, discount_fen=discount_fen, per_user=per_user, valid_days=valid_days)
    _at_least(0, min_fen=min_fen)
    held = CouponTemplate.objects.filter(key=key).first()
    if budget_count is not None:
        _at_least(held.claimed_count if held else 0, budget_count=budget_count)
    if budget_fen is not None:
        _at_least(held.claimed_fen if held else 0, budget_fen=budget_fen)
    template, _made = CouponTemplate.objects.update_or_create(
        key=key,
        defaults={
            "title": title,
            "discount_fen": discount_fen,
            "min_fen": min_fen,
            "budget_count": budget_count,
            "budget_fen": budget_fen,
            "per_user": per_user,
            "valid_days": valid_days,
            "scopes": list(scopes),
            "code": code,
            "claimable": claimable,
            "claim_until": claim_until,
            "active": active,
        },
    )
    return template


@transaction.atomic
def earning_rule_save(
    *,
    key: str,
    kind: str,
    points: int,
    daily_cap: int | None = None,
    lifetime_cap: int | None = None,
    streak_bonus: int = 0,
    valid_days: int = 365,
    active: bool = True,
) -> EarningRule:
    """The rule named `key` says exactly this; an active one replaces its kind's rule in force.

    Raises InvalidInput for an unknown kind and for less than one point.
    """
    if kind not in EarningRule.Kind.values:
        raise InvalidInput(fields={"kind": [_("没有这种积分行为。")]})
    _at_least(1, points=points, valid_days=valid_days)
    if active:
        EarningRule.objects.filter(kind=kind, active=True).exclude(key=key).update(active=False)
    rule, _made = EarningRule.objects.update_or_create(
        key=key,
        defaults={
            "kind": kind,
            "points": points,
            "daily_cap": daily_cap,
            "lifetime_cap": lifetime_cap,
            "streak_bonus": streak_bonus,
            "valid_days": valid_days,
            "active": active,
        },
    )
    return rule


@transaction.atomic
def redeem_code_save(
    *,
    key: str,
    code: str,
    scope: str,
    max_uses: int = 1,
    valid_days: int | None = None,
    expires_at: datetime | None = None,
    active: bool = True,
) -> RedeemCode:
    """The code named `key` opens `scope`. Only its hash and its last characters are kept.

    Raises InvalidInput without a scope and for fewer uses than there were already.
    """
    if not scope:
        raise InvalidInput(fields={"scope": [_("请填写权益范围。")]})
    saved = RedeemCode.objects.filter(key=key).first() or RedeemCode(key=key)
    _at_least(max(1, saved.used_count), max_uses=max_uses)
    code_set(saved, code)
    saved.scope = scope
    saved.max_uses = max_uses
    saved.valid_days = valid_days
    saved.expires_at = expires_at
    saved.active = active
    fields = ["code_hash", "hint", "scope", "max_uses", "valid_days", "expires_at", "active"]
    saved.save(update_fields=fields if saved.pk else None)
    return saved
