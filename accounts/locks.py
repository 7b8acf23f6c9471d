"""One person is written by one transaction at a time, before there is a row to lock."""

from django.db import connection

from kernel.errors import InvariantBroken


def lock_person(*names: str) -> None:
    """Hold the advisory locks of these names until commit, taken in one order.

    Names are an identity ("wx123:oABC") and a unionid; empty ones are skipped. Call it once in a
    transaction.
    """
    if not connection.in_atomic_block:
        raise InvariantBroken("a person is locked inside a transaction")
    with connection.cursor() as cursor:
        for name in sorted({name for name in names if name}):
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"accounts:{name}"]
            )
