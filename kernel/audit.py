"""The registry of invariants that `manage.py audit` checks (`invariants.md` section 1).

Apps put their checks into `<app>/audit.py`, which the command alone imports (payments and
incentives also at start). Each check is SQL that selects the offending rows, so it also finds
what got past the constraints.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.utils import CursorWrapper
from django.utils.functional import Promise

from kernel import clock

MAX_ROWS = 20
# What the report says of work that is due; every app may add its share to each.
PENDING = ("events", "outbox", "due_jobs", "unknown_results", "dead")


@dataclass(frozen=True)
class Found:
    """What a check saw: how much it looked at, how many rows break the rule, and some of them."""

    checked: int
    violations: int
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __add__(self, other: "Found") -> "Found":
        return Found(
            self.checked + other.checked,
            self.violations + other.violations,
            [*self.rows, *other.rows][: _most.get()],
        )


Check = Callable[[CursorWrapper], Found]


@dataclass(frozen=True)
class Invariant:
    id: str
    title: str | Promise
    check: Check
    note: str | Promise = ""  # says why nothing is checked


_registry: dict[str, Invariant] = {}
_pending: dict[str, list[str]] = defaultdict(list)
_most: ContextVar[int] = ContextVar("rows of a check", default=MAX_ROWS)


def invariant(id: str, title: str | Promise) -> Callable[[Check], Check]:
    """Register a check under its id of `invariants.md`; several apps may not share one id."""

    def register(check: Check) -> Check:
        _registry[id] = Invariant(id, title, check)
        return check

    return register


def invariants() -> list[Invariant]:
    return [_registry[key] for key in sorted(_registry)]


def not_installed(id: str, title: str | Promise, note: str | Promise) -> Invariant:
    """An invariant of a part that does not exist here: listed, with nothing to look at."""
    return Invariant(id, title, lambda _cursor: Found(checked=0, violations=0), note)


def pending(name: str, sql: str) -> None:
    """Add the number that `sql` selects to one figure of `PENDING`. It may use %(now)s."""
    if name not in PENDING:
        raise ValueError(name)
    if sql not in _pending[name]:
        _pending[name].append(sql)


def pending_counts(cursor: CursorWrapper) -> dict[str, int]:
    """What is due now and unfinished."""
    counts = {}
    for name in PENDING:
        parts = " + ".join(f"({sql})" for sql in _pending[name]) or "0"
        cursor.execute(f"SELECT {parts}", {"now": clock.now()})  # noqa: S608  (our own texts)
        counts[name] = int(cursor.fetchone()[0])
    return counts


@contextmanager
def showing(most: int) -> Iterator[None]:
    """Inside, checks return up to `most` offending rows instead of 20."""
    token = _most.set(most)
    try:
        yield
    finally:
        _most.reset(token)


def rows_of(cursor: CursorWrapper, sql: str, checked_sql: str) -> Found:
    """A check in SQL: `sql` selects offending rows, `checked_sql` counts what was looked at.

    Both may use %(now)s, the product's clock, and so write a literal percent twice. Offending
    rows are counted by the database; only some of them are fetched.
    """
    values = {"now": clock.now()}
    cursor.execute(checked_sql, values)
    (checked,) = cursor.fetchone()
    cursor.execute(
        "SELECT count(*) OVER (), offending.*"  # noqa: S608  (our own texts)
        f" FROM ({sql}) AS offending LIMIT {_most.get()}",
        values,
    )
    names = [column[0] for column in cursor.description][1:]
    found = cursor.fetchall()
    rows = [
        {
            name: value if isinstance(value, int) or value is None else str(value)
            for name, value in zip(names, row[1:], strict=True)
        }
        for row in found
    ]
    return Found(checked=int(checked), violations=int(found[0][0]) if found else 0, rows=rows)


pending("outbox", "SELECT count(*) FROM kernel_outboxrow WHERE state = 'due' AND due_at <= %(now)s")
pending("dead", "SELECT count(*) FROM kernel_outboxrow WHERE state = 'dead'")
