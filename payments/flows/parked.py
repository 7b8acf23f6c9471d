"""Events that could not have their effect when they came, tried again."""

from typing import TYPE_CHECKING

from django.db import transaction

from kernel import staff
from kernel.errors import DomainError
from kernel.transactions import retrying
from payments.flows.pushes import push_confirm
from payments.models import EventHandling
from payments.services import notices, pushes
from payments.services.kept_events import parked_event_claim, parked_event_failed

if TYPE_CHECKING:
    from accounts.models import User


def parked_event_retry() -> bool:
    """Try the longest-waiting parked event once more; False when none is due.

    After ten tries it is dead: a person has to look (the admin lists them).
    """
    row = parked_event_claim()
    if row is None:
        return False
    _tried(row)
    return True


def dead_event_again(*, event_id: int, by: "User", reason: str) -> DomainError | None:
    """A person wants a dead event tried now: None when it had its effect, else what is in the way.

    It stays dead in between, so nothing waits unseen.
    """
    row = EventHandling.objects.select_related("event").get(pk=event_id)
    if row.state != EventHandling.State.DEAD:
        return None
    with transaction.atomic():
        staff.record(
            by=by,
            action="payments.event_again",
            target=f"event:{row.event.source}:{row.event.event_id}",
            reason=reason,
        )
    return _tried(row)


def _tried(row: EventHandling) -> DomainError | None:
    try:
        if row.event.source == pushes.SOURCE:
            push_confirm(row)
        else:
            retrying(lambda: notices.parked_event_apply(event=row))
    except DomainError as error:
        failed = error
        retrying(lambda: parked_event_failed(event_id=row.pk, error=failed))
        return error
    return None
