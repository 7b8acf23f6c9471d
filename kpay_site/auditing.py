"""The audit: all invariants in one REPEATABLE READ snapshot (`invariants.md` section 1)."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils.functional import Promise
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from kernel import clock
from kernel.api.fields import rfc3339
from kernel.audit import Found, Invariant, invariants, not_installed, pending_counts

TIMEOUT_SECONDS = 600
LOCK_TIMEOUT_SECONDS = 5  # a migration holds what we want to read
# For this transaction alone: room to hash a million rows, no machine code for small answers, and
# no more of the server's cores than the two readers take.
_SETUP = f"""
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s';
SET LOCAL work_mem = '48MB';
SET LOCAL jit = off;
SET LOCAL max_parallel_workers_per_gather = 0;
"""
# A payment counts when the platform confirmed it, whatever became of it; a right for each scope
# and source.
_COUNTS = """
SELECT
  (SELECT count(*) FROM payments_order
     WHERE status IN ('paid', 'partially_refunded', 'refunded')) AS orders_paid,
  (SELECT count(*) FROM payments_payment WHERE status = 'succeeded') AS payments_succeeded,
  (SELECT count(*) FROM payments_refund WHERE status = 'succeeded') AS refunds_succeeded,
  (SELECT count(*) FROM payments_entitlement
     WHERE revoked_at IS NULL AND (valid_until IS NULL OR valid_until > %(now)s))
    AS entitlements_live,
  (SELECT count(*) FROM payments_journal) AS journals
"""

# Invariants of parts that are not built yet. A check that an app registers takes the place of
# its line here.
ABSENT: dict[str, str | Promise] = {
    "S01": _("同一用户同一方案的会员周期不重叠"),
    "S02": _("一次成功扣款对应一个周期，扣款不超过且不早于其通知"),
    "S03": _("每位用户每个方案只有一份有效订阅，协议号只用一次"),
    "W01": _("提现不超过创作者所得，同时只有一笔在途"),
    "D01": _("注销申请在 15 个工作日内完成"),
    "D02": _("注销后任何表与日志不再含本人信息"),
}
NOT_INSTALLED = _("此部分尚未安装，没有可核对的数据。")


def all_invariants() -> list[Invariant]:
    """Every line of `invariants.md` section 1, also of parts that are not installed."""
    autodiscover_modules("personal", "audit")
    known = {rule.id: rule for rule in invariants()}
    absent = {id: not_installed(id, title, NOT_INSTALLED) for id, title in ABSENT.items()}
    return [rule for _id, rule in sorted({**absent, **known}.items())]


def audit(*, timeout_seconds: int = TIMEOUT_SECONDS) -> dict[str, Any]:
    """The report of `invariants.md` section 1. Reads only; works while the system works.

    Two connections share one snapshot and the checks. No writer waits for them. Raises
    `DatabaseError` when the database can't be read, also when the whole takes longer than
    `timeout_seconds`.
    """
    ends = time.monotonic() + timeout_seconds
    rules = all_invariants()
    todo = deque(rules)
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(_SETUP)
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        with ThreadPoolExecutor(max_workers=1) as pool:
            other = pool.submit(_second_reader, snapshot, todo, ends)
            found = _drained(cursor, todo, ends)
            found |= other.result()
        return _report(cursor, rules, found, ends)


def _second_reader(snapshot: str, todo: deque[Invariant], ends: float) -> dict[str, Found]:
    """Takes checks too, on a connection of this thread that sees the same moment."""
    try:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute(f"{_SETUP} SET TRANSACTION SNAPSHOT '{snapshot}'")
            return _drained(cursor, todo, ends)
    finally:
        connection.close()


def report(cursor: CursorWrapper, rules: Sequence[Invariant] | None = None) -> dict[str, Any]:
    """The same on one open cursor, for as long as it takes."""
    known = all_invariants() if rules is None else rules
    return _report(cursor, known, _drained(cursor, deque(known), None), None)


def _drained(cursor: CursorWrapper, todo: deque[Invariant], ends: float | None) -> dict[str, Found]:
    """What the checks find that this cursor could take, by id; the others' too end on an error."""
    found = {}
    try:
        while todo:
            try:
                rule = todo.popleft()
            except IndexError:  # the other reader was quicker
                break
            _limit(cursor, ends)
            found[rule.id] = rule.check(cursor)
    except BaseException:
        todo.clear()
        raise
    return found


def _report(
    cursor: CursorWrapper,
    rules: Sequence[Invariant],
    found: Mapping[str, Found],
    ends: float | None,
) -> dict[str, Any]:
    lines = [
        {"id": rule.id, "title": str(rule.title), **asdict(found[rule.id])}
        | ({"note": str(rule.note)} if rule.note else {})
        for rule in rules
    ]
    _limit(cursor, ends)
    cursor.execute(_COUNTS, {"now": clock.now()})
    names = [column[0] for column in cursor.description]
    counts = dict(zip(names, cursor.fetchone(), strict=True))
    return {
        "ok": all(line["violations"] == 0 for line in lines),
        "checked_at": rfc3339(clock.now()),
        "invariants": lines,
        "pending": pending_counts(cursor),
        "counts": counts,
    }


def _limit(cursor: CursorWrapper, ends: float | None) -> None:
    """The next statements may take what is left; 1 ms when the time is over (0 means for ever)."""
    if ends is not None:
        left = max(int((ends - time.monotonic()) * 1000), 1)
        cursor.execute(f"SET LOCAL statement_timeout = {left}")
