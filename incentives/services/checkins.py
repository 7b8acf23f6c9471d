"""Daily check-in by the shop's calendar."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from incentives import rules
from incentives.locks import wallet_locked
from incentives.models import CheckIn, EarningRule
from incentives.services.earning import points_earn
from kernel import clock


@dataclass(frozen=True)
class CheckedIn:
    """The day's check-in. `already` says that it had been made before this call."""

    day: date
    streak: int
    points: int
    already: bool


@transaction.atomic
def check_in(user_id: int) -> CheckedIn:
    """Check the user in for today (Asia/Shanghai), once; a repeat changes nothing.

    The streak counts days in a row, today included. Holds the wallet, so that of many calls at
    once exactly one earns.
    """
    wallet_locked(user_id)
    today = clock.local_date()
    last = CheckIn.objects.filter(user_id=user_id).order_by("-day").first()
    if last is not None and last.day == today:
        return CheckedIn(today, last.streak, last.points, already=True)
    follows = last is not None and last.day == today - timedelta(days=1)
    streak = last.streak + 1 if last is not None and follows else 1
    points = points_earn(
        user_id=user_id,
        kind=EarningRule.Kind.CHECK_IN,
        ref=today.isoformat(),
        points=_points(streak),
        text=_("签到第 %(streak)s 天") % {"streak": streak},
    )
    CheckIn.objects.create(user_id=user_id, day=today, streak=streak, points=points)
    return CheckedIn(today, streak, points, already=False)


def _points(streak: int) -> int:
    rule = EarningRule.objects.filter(kind=EarningRule.Kind.CHECK_IN, active=True).first()
    return rule.points + rules.streak_bonus(streak, rule.streak_bonus) if rule else 0
