"""What a finished day looks like to those who asked for it."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from payments.models import Discrepancy, Reconciliation
from payments.services.reconciling_funds import fund_sums

SHOWN = 200


def reconciliation_report(row: Reconciliation) -> dict[str, Any]:
    """Counts of a day, and its differences, open ones first (`SHOWN` of them)."""
    all_of_them = Discrepancy.objects.filter(reconciliation=row)
    pairs = list(all_of_them.values_list("kind", "state"))
    states = Counter(state for _kind, state in pairs)
    shown = sorted(all_of_them, key=lambda each: (each.state != Discrepancy.State.OPEN, each.pk))
    wechat = row.channel == Reconciliation.Channel.WECHAT
    return {
        "channel": row.channel,
        "date": str(row.date),
        "status": row.status,
        "rows": row.rows,
        "matched": row.matched,
        "open": states[Discrepancy.State.OPEN],
        "repaired": states[Discrepancy.State.REPAIRED],
        "closed": states[Discrepancy.State.CLOSED],
        "kinds": dict(Counter(kind for kind, _state in pairs)),
        "error": row.last_error,
        "fund": asdict(fund_sums(row)) if wechat and row.status == "done" else None,
        "differences": [_difference(each) for each in shown[:SHOWN]],
    }


def _difference(row: Discrepancy) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "kind": row.kind,
        "number": row.number,
        "ours_fen": row.ours_fen,
        "theirs_fen": row.theirs_fen,
        "ours_status": row.ours_status,
        "theirs_status": row.theirs_status,
        "state": row.state,
        "note": row.repair,
    }
