"""What an outside auditor counts after a proof, from the `audit` views alone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from devstack.prove.stage import Stage

# Payments that are neither the whole price of a paid order nor on their way back in full.
HOMELESS = """
SELECT count(*) FROM audit.payments p JOIN audit.orders o USING (order_no)
LEFT JOIN (SELECT out_trade_no, sum(amount_fen) AS fen FROM audit.refunds
           WHERE cause IN ('late_payment', 'duplicate_payment')
             AND status NOT IN ('closed', 'rejected') GROUP BY out_trade_no) r USING (out_trade_no)
WHERE p.status = 'succeeded' AND r.fen IS DISTINCT FROM p.amount_fen
  AND NOT (o.paid_at IS NOT NULL AND o.payable_fen = p.amount_fen)
"""
# A line that granted its scope more than once, or an order that two payments pay for.
TWICE = """
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM audit.entitlements WHERE source = 'order'
            GROUP BY user_id, scope, source_ref HAVING count(*) > 1) g)
     + (SELECT count(*) FROM (
            SELECT 1 FROM audit.payments p
            LEFT JOIN audit.refunds r ON r.out_trade_no = p.out_trade_no
                 AND r.cause IN ('late_payment', 'duplicate_payment')
            WHERE p.status = 'succeeded' AND r.out_trade_no IS NULL
            GROUP BY p.order_no HAVING count(*) > 1) t)
     + (SELECT count(*) FROM (
            SELECT 1 FROM audit.effects GROUP BY kind, business_key HAVING count(*) > 1) e)
     + (SELECT count(*) FROM (
            SELECT 1 FROM audit.journals GROUP BY kind, ref HAVING count(*) > 1) j)
"""
UNGRANTED = """
SELECT count(*) FROM audit.orders o JOIN audit.order_lines l USING (order_no)
LEFT JOIN audit.entitlements e ON e.source = 'order' AND e.source_ref = o.order_no
     AND e.scope = l.scope
WHERE o.status = 'paid' AND l.scope <> '' AND e.id IS NULL
"""


def lost(place: Stage, paid: Iterable[str]) -> list[str]:
    """Numbers that the platform took money for and we have no succeeded payment of."""
    known = {
        row[0]
        for row in place.rows("SELECT out_trade_no FROM audit.payments WHERE status = 'succeeded'")
    }
    return sorted(set(paid) - known)


def unsettled(place: Stage, paid: Iterable[str]) -> int:
    """Money not yet known, and money on its way back that has not arrived."""
    back = place.one(
        "SELECT count(*) FROM audit.refunds WHERE status IN ('requested', 'processing')"
    )
    return len(lost(place, paid)) + back


def settle(place: Stage, paid: Iterable[str], *, rounds: int = 60, step: int = 60) -> int:
    """Move the clock until nothing is open; returns the rounds it took (`rounds` when never)."""
    numbers = list(paid)
    for done in range(rounds):
        if unsettled(place, numbers) == 0:
            return done
        place.sandbox.advance(step)
        time.sleep(1.5)
    return rounds


def judge(place: Stage, paid: Iterable[str]) -> dict[str, Any]:
    """The counts, and whether the audit holds."""
    report = place.audit()
    broken = {line["id"]: line["violations"] for line in report["invariants"] if line["violations"]}
    return {
        "lost": len(lost(place, paid)),
        "granted_twice": place.one(TWICE),
        "not_granted": place.one(UNGRANTED),
        "money_without_place": place.one(HOMELESS),
        "audit_ok": report["ok"],
        "broken": broken,
        "pending": report["pending"],
        "counts": report["counts"],
    }


def clean(verdict: dict[str, Any]) -> bool:
    """Nothing lost, doubled, homeless or broken."""
    names = ("lost", "granted_twice", "not_granted", "money_without_place")
    return bool(verdict["audit_ok"]) and not any(verdict[name] for name in names)
