"""The audit: all registered invariants in one REPEATABLE READ snapshot (`invariants.md`)."""

from dataclasses import asdict
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from kernel import clock
from kernel.api.fields import rfc3339
from kernel.audit import invariants

PENDING = """
SELECT
  (SELECT count(*) FROM payments_eventhandling WHERE state IN ('received', 'parked') AND due_at <= %(now)s),
  (SELECT count(*) FROM kernel_outboxrow WHERE state = 'due' AND due_at <= %(now)s),
  (SELECT count(*) FROM payments_payment WHERE next_check_at <= %(now)s)
    + (SELECT count(*) FROM payments_refund WHERE next_check_at <= %(now)s),
  0,
  (SELECT count(*) FROM payments_eventhandling WHERE state = 'dead')
    + (SELECT count(*) FROM kernel_outboxrow WHERE state = 'dead')
"""  # noqa: E501
COUNTS = """
SELECT
  (SELECT count(*) FROM audit.orders
     WHERE status IN ('paid', 'partially_refunded', 'refunded')),
  (SELECT count(*) FROM audit.payments WHERE status = 'succeeded'),
  (SELECT count(*) FROM audit.refunds WHERE status = 'succeeded'),
  (SELECT count(DISTINCT (user_id, scope, source, source_ref)) FROM audit.entitlements
     WHERE revoked_at IS NULL AND (valid_until IS NULL OR valid_until > %(now)s)),
  (SELECT count(*) FROM audit.journals)
"""


def audit() -> dict[str, Any]:
    """The report of `invariants.md` section 1. Reads only; works while the system works."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return report(cursor)


def report(cursor: CursorWrapper) -> dict[str, Any]:
    lines = []
    for rule in invariants():
        found = rule.check(cursor)
        lines.append({"id": rule.id, "title": str(rule.title), **asdict(found)})
    now = {"now": clock.now()}
    cursor.execute(PENDING, now)
    pending = dict(
        zip(
            ("events", "outbox", "due_jobs", "unknown_results", "dead"),
            cursor.fetchone(),
            strict=True,
        )
    )
    # A payment whose result is due to be asked for is a due job; nothing else is unknown here.
    cursor.execute(COUNTS, now)
    names = (
        "orders_paid",
        "payments_succeeded",
        "refunds_succeeded",
        "entitlements_live",
        "journals",
    )
    return {
        "ok": all(line["violations"] == 0 for line in lines),
        "checked_at": rfc3339(clock.now()),
        "invariants": lines,
        "pending": pending,
        "counts": dict(zip(names, cursor.fetchone(), strict=True)),
    }
