"""Notices that came before what they speak of, and those that speak of what we never made."""

import logging

from kernel.errors import DomainError
from payments.flows.refunding import refund_confirm
from payments.models import EventHandling, Payment, Refund
from payments.services.notices import (
    last_try,
    parked_event_apply,
    parked_event_claim,
    parked_event_done,
    parked_event_failed,
)

logger = logging.getLogger(__name__)


def parked_event_retry() -> bool:
    """Try the longest-waiting parked event once more; False when none is due.

    At its last try a refund that we never asked for is taken as the platform's own, if the
    platform confirms it. After ten tries the event is dead: a person has to look.
    """
    row = parked_event_claim()
    if row is None:
        return False
    try:
        parked_event_apply(row)
    except DomainError as error:
        if not _adopted(row):
            parked_event_failed(row, error)
    return True


def _adopted(row: EventHandling) -> bool:
    """Whether the event told of a refund that the platform made, which we have now too."""
    facts = row.facts or {}
    if row.kind != "refund" or not last_try(row):
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
    parked_event_done(row)
    return True
