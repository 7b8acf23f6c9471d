"""Hand-written statements of hot paths, planned once per connection.

Django binds parameters on the client, so PostgreSQL plans each query anew; for the feed's
largest one that is more than half of its time (0.4 ms with a kept plan, 1.0 without). These run
on a server-side cursor of the same connection, in the same transaction, as prepared statements
with one generic plan; errors are Django's as everywhere else.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast
from weakref import WeakSet

import psycopg
from django.db import connection

Row = tuple[Any, ...]
Values = Mapping[str, Any] | Sequence[Any]

# Connections told to keep generic plans. Lost by a rollback of the very transaction that told
# it, which costs time and nothing else.
_told: "WeakSet[psycopg.Connection[Row]]" = WeakSet()


def run(statement: str, values: Values) -> None:
    """Execute a statement whose rows nobody wants."""
    _execute(statement, values, fetch=False)


def rows(query: str, values: Values) -> list[Row]:
    """All rows of a query."""
    return _execute(query, values, fetch=True)


def _execute(statement: str, values: Values, *, fetch: bool) -> list[Row]:
    connection.ensure_connection()
    raw = cast("psycopg.Connection[Row]", connection.connection)
    if raw not in _told:
        raw.execute("SET plan_cache_mode = force_generic_plan")
        _told.add(raw)
    begun = time.monotonic()
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(statement, values, prepare=True)
        found = cursor.fetchall() if fetch else []
    if connection.queries_logged:  # tests count queries by this log
        took = f"{time.monotonic() - begun:.3f}"
        connection.queries_log.append({"sql": statement, "time": took})
    return found
