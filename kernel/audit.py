"""The registry of invariants that `manage.py audit` checks (`invariants.md` section 1)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.utils import CursorWrapper
from django.utils.functional import Promise

MAX_ROWS = 20


@dataclass(frozen=True)
class Found:
    """What a check saw: how much it looked at, how many rows break the rule, and some of them."""

    checked: int
    violations: int
    rows: list[dict[str, Any]] = field(default_factory=list)


Check = Callable[[CursorWrapper], Found]


@dataclass(frozen=True)
class Invariant:
    id: str
    title: str | Promise
    check: Check


_registry: dict[str, Invariant] = {}


def invariant(id: str, title: str | Promise) -> Callable[[Check], Check]:
    """Register a check under its id of `invariants.md`; several apps may not share one id."""

    def register(check: Check) -> Check:
        _registry[id] = Invariant(id, title, check)
        return check

    return register


def invariants() -> list[Invariant]:
    return [_registry[key] for key in sorted(_registry)]


def rows_of(cursor: CursorWrapper, sql: str, checked_sql: str) -> Found:
    """A check in SQL: `sql` selects offending rows, `checked_sql` counts what was looked at."""
    cursor.execute(checked_sql)
    (checked,) = cursor.fetchone()
    cursor.execute(sql)
    names = [column[0] for column in cursor.description]
    offending = cursor.fetchall()
    rows = [
        {
            name: value if isinstance(value, int) or value is None else str(value)
            for name, value in zip(names, row, strict=True)
        }
        for row in offending[:MAX_ROWS]
    ]
    return Found(checked=int(checked), violations=len(offending), rows=rows)
