"""Redeem codes: a scope for everyone who knows the code, up to its uses."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from incentives.errors import CodeNotFound, CodeUsedUp
from incentives.locks import claim_rank
from incentives.models import RedeemCode, RedeemUse
from kernel import clock
from kernel.ids import normal_code, token_hash
from payments.errors import AlreadyOwned
from payments.selectors import entitled
from payments.services import entitlement_grant

SOURCE = "redeem"


@dataclass(frozen=True)
class Redeemed:
    """What a code opened, and until when (None = for good)."""

    scope: str
    valid_until: datetime | None


@transaction.atomic
def code_redeem(*, user_id: int, code: str) -> Redeemed:
    """The user holds the code's scope. The same user's repeat gets the same answer, no new use.

    Raises CodeNotFound, CodeUsedUp and, so that no use is wasted, AlreadyOwned for a course that
    the user has anyway.
    """
    now = clock.now()
    found = (
        RedeemCode.objects.filter(code_hash=token_hash(normal_code(code)), active=True)
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))
        .first()
    )
    if found is None:
        raise CodeNotFound
    claim_rank()
    use, is_new = RedeemUse.objects.get_or_create(code=found, user_id=user_id)
    if is_new:
        if found.scope.startswith("course:") and entitled(user_id, found.scope):
            raise AlreadyOwned(scopes=[found.scope])
        _count(found)
    until = use.created_at + timedelta(days=found.valid_days) if found.valid_days else None
    if is_new:
        entitlement_grant(
            user_id=user_id,
            scope=found.scope,
            source=SOURCE,
            source_ref=str(use.pk),
            valid_until=until,
        )
    return Redeemed(found.scope, until)


def _count(code: RedeemCode) -> None:
    counted = RedeemCode.objects.filter(
        pk=code.pk, active=True, used_count__lt=F("max_uses")
    ).update(used_count=F("used_count") + 1)
    if not counted:
        raise CodeUsedUp


def code_set(row: RedeemCode, code: str) -> None:
    """Put the hash and the hint of `code` on an unsaved row; the code itself is not kept."""
    plain = normal_code(code)
    row.code_hash = token_hash(plain)
    row.hint = plain[-4:] if len(plain) >= 12 else plain[-2:]
