"""Does the audit see what it says it sees? (`manage.py audit --selftest`)

Apps put plants into `<app>/selftest.py` (or a package of that name), loaded by the command alone.
A plant makes the few valid rows that it needs and breaks one invariant with them. The runner
lets it break: what the database refuses is noted by the name of the constraint, that constraint,
trigger or index is dropped, and once nothing refuses any more the audit's check has to show the
planted row. Each plant has a transaction of its own, always rolled back.

Dropping takes an ACCESS EXCLUSIVE lock on a table, held for the moments until the rollback:
meanwhile others wait. Nobody is waited for longer than the lock timeout.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction

from kernel.audit import Found, Invariant, showing

LOCK_TIMEOUT_MS = 5000
# lock_not_available, deadlock_detected (PostgreSQL, appendix A)
_BUSY = {"55P03", "40P01"}
_MOST_GUARDS = 5
# Enough to find one planted row among what was broken before.
_SHOWN = 100_000

_DROPS = """
SELECT format('DROP TRIGGER %%I ON %%s', tgname, tgrelid::regclass) FROM pg_trigger
WHERE tgname = %(name)s AND NOT tgisinternal
UNION ALL
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname)
FROM pg_constraint
WHERE conname = %(name)s AND contype <> 't' AND connamespace = 'public'::regnamespace
UNION ALL
SELECT format('DROP INDEX %%s', c.oid::regclass) FROM pg_class c
WHERE c.relname = %(name)s AND c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = c.oid)
"""


class SelftestBusy(Exception):
    """A table was in use for longer than the lock timeout."""


@dataclass(frozen=True)
class Planted:
    """How to break the rule, and what the audit's row for it must contain."""

    row: Mapping[str, object]
    deed: Callable[[], object]


@dataclass(frozen=True)
class Plant:
    id: str
    name: str
    blocked_by: frozenset[str]  # what the database should refuse it by
    without: tuple[str, ...]  # other guards, in the way of this one violation
    build: Callable[[], Planted]


@dataclass(frozen=True)
class Outcome:
    plant: Plant
    refused_by: frozenset[str]
    detected: bool

    @property
    def good(self) -> bool:
        return self.detected and self.refused_by == self.plant.blocked_by


_plants: dict[tuple[str, str], Plant] = {}


def plant(
    id: str, *, blocked_by: Collection[str] = (), without: Sequence[str] = ()
) -> Callable[[Callable[[], Planted]], Callable[[], Planted]]:
    """Register a way to break the invariant `id`."""

    def register(build: Callable[[], Planted]) -> Callable[[], Planted]:
        name = build.__name__
        _plants[id, name] = Plant(id, name, frozenset(blocked_by), tuple(without), build)
        return build

    return register


def plants() -> list[Plant]:
    return [_plants[key] for key in sorted(_plants)]


def sql(statement: str, **values: Any) -> Callable[[], object]:
    """A deed in SQL, with `%(name)s` for each value."""

    def deed() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    return deed


def run(plant: Plant, rule: Invariant, *, lock_timeout_ms: int = LOCK_TIMEOUT_MS) -> Outcome:
    """What became of one plant; the database is as it was before.

    Raises `SelftestBusy` when a table could not be had in time.
    """
    try:
        with transaction.atomic(durable=True):
            _execute(f"SET LOCAL lock_timeout = {int(lock_timeout_ms)}")
            outcome = _outcome(plant, rule)
            transaction.set_rollback(True)
            return outcome
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) in _BUSY:
            raise SelftestBusy(plant.id) from error
        raise


def _outcome(plant: Plant, rule: Invariant) -> Outcome:
    # Nothing may be pending on a table whose guards are dropped.
    _execute("SET CONSTRAINTS ALL IMMEDIATE")
    for name in plant.without:
        _drop(name)
    _execute("SET CONSTRAINTS ALL DEFERRED")
    planted = plant.build()
    _execute("SET CONSTRAINTS ALL IMMEDIATE")
    before = _look(rule)
    refused: list[str] = []
    while (guard := _refusal(planted)) is not None:
        refused.append(guard)
        if len(refused) > _MOST_GUARDS or not _drop(guard):
            return Outcome(plant, frozenset(refused), detected=False)
    after = _look(rule)
    shown = any(_contains(row, planted.row) for row in after.rows if row not in before.rows)
    grown = after.violations > before.violations
    return Outcome(plant, frozenset(refused), detected=shown and grown)


def _refusal(planted: Planted) -> str | None:
    """The name of what refused the deed, which left nothing behind; None when it is done."""
    try:
        with transaction.atomic():
            _execute("SET CONSTRAINTS ALL DEFERRED")
            planted.deed()
            _execute("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        return str(getattr(diagnosis, "constraint_name", None) or error)
    return None


def _look(rule: Invariant) -> Found:
    with showing(_SHOWN), connection.cursor() as cursor:
        return rule.check(cursor)


def _contains(row: Mapping[str, Any], part: Mapping[str, object]) -> bool:
    return all(str(row.get(name)) == str(value) for name, value in part.items())


def _drop(name: str) -> bool:
    """The constraint, trigger or index of that name is gone; False when there is not just one."""
    with connection.cursor() as cursor:
        cursor.execute(_DROPS, {"name": name})
        statements = [row[0] for row in cursor.fetchall()]
        if len(statements) != 1:
            return False
        cursor.execute(statements[0])
    return True


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
