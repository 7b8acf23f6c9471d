"""Taking back points that nobody spent in time."""

from django.db import transaction

from incentives import ledger
from incentives.locks import wallet_locked
from incentives.models import PointLot
from kernel import clock


def points_expire(*, limit: int = 500) -> int:
    """Expire the overdue lots of up to `limit` users, one transaction each; returns the points."""
    users = list(
        PointLot.objects.filter(remaining__gt=0, expires_at__lte=clock.now())
        .order_by("user_id")
        .values_list("user_id", flat=True)
        .distinct()[:limit]
    )
    gone = 0
    for user_id in users:
        with transaction.atomic():
            gone += ledger.overdue_expire(wallet_locked(user_id))
    return gone
