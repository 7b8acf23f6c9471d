"""Events that came before what they speak of, and those that speak of what we never made."""

import logging
from typing import TYPE_CHECKING

from django.db import transaction

from kernel import staff
from kernel.errors import DomainError
from kernel.transactions import retrying
from payments.flows.pushes import push_confirm
from payments.flows.refunding import refund_confirm
from payments.models import EventHandling, Payment, Refund
from payments.services import notices, pushes
from payments.services.kept_events import (
    event_taken_over,
    last_try,
    parked_event_claim,
    parked_event_failed,
)

if TYPE_CHECKING:
    from accounts.models import User

logger = logging.getLogger(__name__)


def parked_event_retry() -> bool:
    """Try the longest-waiting parked event once more; False when none is due.

    At its last try a refund that we never asked for is taken as the platform's own, if the
    platform confirms it. After ten tries the event is dead: a person has to look.
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
        if _adopted(row):
            return None
        failed = error
        retrying(lambda: parked_event_failed(event_id=row.pk, error=failed))
        return error
    return None


def _adopted(row: EventHandling) -> bool:
    """Whether the event told of a refund that the platform made, which we have now too."""
    facts = row.facts or {}
    if row.event.source == pushes.SOURCE or row.kind != "refund" or not last_try(row):
        return False
    number, trade = str(facts.get("out_refund_no", "")), str(facts.get("out_trade_no", ""))
    ours = Payment.objects.filter(out_trade_no=trade).exists()
    if not ours or Refund.objects.filter(out_refund_no=number).exists():
        return False
    try:
        if not refund_confirm(out_refund_no=number, out_trade_no=trade):
            return False
    except DomainError as error:
        logger.error("refund %s of %s not taken over: %s", number, trade, error)
        return False
    event_taken_over(event_id=row.pk)
    return True
