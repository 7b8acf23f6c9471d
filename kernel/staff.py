"""Evidence of what operators do."""

from typing import TYPE_CHECKING, Any

from kernel import clock
from kernel.models import StaffAction

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


def record(
    *, by: "AbstractBaseUser", action: str, target: str, reason: str, **detail: Any
) -> StaffAction:
    """Keep who did what to which object, and why, in the transaction that does it."""
    return StaffAction.objects.create(
        user_id=by.pk,
        action=action,
        target=target,
        reason=reason,
        detail=detail,
        created_at=clock.now(),
    )
