"""A day's reconciliation, step by step: fetch, store, match, repair, book fees, finish.

The row's status is the step, so a killed run goes on with the next one. Each step may be done
twice without harm.
"""

import logging
import time

from django.utils.translation import gettext as _

from payments.bill_rules import FUND
from payments.flows.reconciling_bills import bill_lines
from payments.flows.reconciling_repairs import discrepancy_repair
from payments.models import Discrepancy, Reconciliation
from payments.services.reconciling import (
    BACKOFF,
    OPEN_STEPS,
    discrepancy_noted,
    reconciliation_paused,
    reconciliation_waits,
)
from payments.services.reconciling_bill import bill_store
from payments.services.reconciling_funds import fees_book
from payments.services.reconciling_match import bill_match, reconciliation_finish
from wechat.errors import WeChatBillWrong, WeChatError, WeChatRefused

logger = logging.getLogger(__name__)


def reconciliation_work(row: Reconciliation, *, seconds: float | None = None) -> Reconciliation:
    """The day's row after as many steps as can be done now; unfinished ones are due again.

    With `seconds`, repairs stop when the time is used up and go on in the next run. The row is
    the caller's by lease. What the platform does not give is kept on the row.
    """
    ends = None if seconds is None else time.monotonic() + seconds
    while row.status in OPEN_STEPS:
        step = row.status
        if step == Reconciliation.Status.DUE:
            going = _fetch(row)
        elif step == Reconciliation.Status.FETCHED:
            bill_match(reconciliation_id=row.pk)
            going = True
        else:
            going = _repair(row, ends)
            if going:
                fees_book(row=row)
                reconciliation_finish(reconciliation_id=row.pk)
        row.refresh_from_db()
        if not going or row.status == step:
            break
    return row


def _fetch(row: Reconciliation) -> bool:
    try:
        bill_store(reconciliation_id=row.pk, lines=bill_lines(row.channel, row.date))
    except (WeChatBillWrong, WeChatRefused) as error:
        logger.error("bill of %s: %s", row, error)
        reconciliation_waits(reconciliation_id=row.pk, why=str(error), final=True)
        return False
    except WeChatError as error:
        logger.warning("no bill of %s yet: %s", row, error)
        reconciliation_waits(reconciliation_id=row.pk, why=str(error))
        return False
    return True


def _repair(row: Reconciliation, ends: float | None) -> bool:
    """Whether each open difference has been tried. Those without an answer are tried later,
    a bounded number of times, and then left to a person."""
    unanswered = 0
    waiting = Discrepancy.objects.filter(
        reconciliation=row, state=Discrepancy.State.OPEN, repair=""
    ).exclude(subject=FUND)
    for found in waiting.select_related("reconciliation").order_by("pk"):
        if ends is not None and time.monotonic() > ends:
            reconciliation_paused(reconciliation_id=row.pk)
            return False
        try:
            discrepancy_repair(found)
        except WeChatError as error:
            logger.warning("%s not repaired: %s", found, error)
            unanswered += 1
            if row.tries >= len(BACKOFF):
                note = _("平台没有答复：%(error)s") % {"error": error}
                discrepancy_noted(discrepancy_id=found.pk, note=note)
    if unanswered and row.tries < len(BACKOFF):
        why = _("%(count)d 项差异尚未得到平台答复") % {"count": unanswered}
        reconciliation_waits(reconciliation_id=row.pk, why=why)
        return False
    return True
