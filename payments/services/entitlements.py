"""Rights: the only place that writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from kernel import clock
from kernel.locks import LockRank, lock_all, note_rank
from kernel.outbox import publish
from payments import rules, selectors
from payments.events import EntitlementGranted
from payments.models import Effect, Entitlement, Order, OrderLine

# Contract section 8 names this one differently from its source.
_EFFECTS = {"operator": "operator_grant"}


@transaction.atomic
def entitlement_grant(
    *,
    user_id: int,
    scope: str,
    source: str,
    source_ref: str,
    valid_until: datetime | None = None,
    reason: str = "",
) -> Entitlement:
    """The user's right to `scope` from this source; granting it again changes nothing.

    An operator's grant needs a reason (the database refuses one without). Sources that payments
    does not know (redeem code, gift, assignment) leave an `Effect` that proves them.
    """
    note_rank(LockRank.ENTITLEMENT)
    row, made = Entitlement.objects.get_or_create(
        source=source,
        source_ref=source_ref,
        scope=scope,
        user_id=user_id,
        defaults={
            "valid_from": clock.now(),
            "valid_until": valid_until,
            "reason": reason,
            "created_at": clock.now(),
        },
    )
    if made:
        Effect.objects.create(
            kind=_EFFECTS.get(source, source),
            business_key=f"{source_ref}:{user_id}:{scope}",
            ref=source_ref,
        )
        _tell(row)
    return row


@transaction.atomic
def entitlement_revoke(
    *, source: str, source_ref: str, scope: str | None = None, reason: str = ""
) -> int:
    """Ends the living rights of one source (of one scope when given); returns how many ended."""
    rows = Entitlement.objects.filter(source=source, source_ref=source_ref, revoked_at__isnull=True)
    if scope is not None:
        rows = rows.filter(scope=scope)
    living = lock_all(rows, LockRank.ENTITLEMENT)
    for row in living:
        row.revoked_at = clock.now()
        row.reason = reason or row.reason
        row.save(update_fields=["revoked_at", "reason"])
    return len(living)


@dataclass(frozen=True)
class _Span:
    start: datetime
    end: datetime | None


def grant_lines(*, order: Order, lines: Sequence[OrderLine], at: datetime) -> list[Entitlement]:
    """One right per line with a scope, from the order just paid. Needs the buyer's turn.

    A membership period starts where the last one of the same scope ends.
    """
    note_rank(LockRank.ENTITLEMENT)
    rows = []
    for line in lines:
        if not line.scope:
            continue
        span = _span(order.user_id, line, at)
        rows.append(
            Entitlement(
                user_id=order.user_id,
                scope=line.scope,
                source=Entitlement.Source.ORDER,
                source_ref=order.no,
                valid_from=span.start,
                valid_until=span.end,
                created_at=at,
            )
        )
    made = Entitlement.objects.bulk_create(rows)
    for row in made:
        _tell(row)
    return made


def _span(user_id: int, line: OrderLine, at: datetime) -> _Span:
    if not line.period:
        return _Span(at, None)
    start = selectors.period_covered_until(user_id, line.scope, at) or at
    return _Span(start, rules.period_end(start, line.period))


def _tell(row: Entitlement) -> None:
    publish(
        EntitlementGranted(
            entitlement_id=row.pk,
            user_id=row.user_id,
            scope=row.scope,
            source=row.source,
            source_ref=row.source_ref,
        ),
        key=f"{row.user_id}:{row.scope}",
    )
