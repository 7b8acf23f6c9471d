"""The audit: all invariants in one REPEATABLE READ snapshot (`invariants.md` section 1)."""

import time
from dataclasses import asdict
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils.functional import Promise
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from kernel import clock
from kernel.api.fields import rfc3339
from kernel.audit import Invariant, invariants, not_installed, pending_counts

TIMEOUT_SECONDS = 600
LOCK_TIMEOUT_SECONDS = 5  # a migration holds what we want to read
# For this transaction alone: room to hash a million rows, and no machine code for small answers.
_SETUP = f"""
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s';
SET LOCAL work_mem = '64MB';
SET LOCAL jit = off;
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
    "X03": _("平台账单与我们的支付和退款一致"),
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

    No writer waits for it. Raises `DatabaseError` when the database can't be read, also when
    the whole takes longer than `timeout_seconds`.
    """
    rules = all_invariants()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(_SETUP)
        return report(cursor, rules, ends=time.monotonic() + timeout_seconds)


def report(
    cursor: CursorWrapper, rules: list[Invariant] | None = None, *, ends: float | None = None
) -> dict[str, Any]:
    """What the checks find, each within the time that is left until `ends`."""
    lines = []
    for rule in all_invariants() if rules is None else rules:
        _limit(cursor, ends)
        line = {"id": rule.id, "title": str(rule.title), **asdict(rule.check(cursor))}
        lines.append(line | ({"note": str(rule.note)} if rule.note else {}))
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
