"""Messages to one person are counted by one transaction at a time."""

from django.db import connection

from kernel.errors import InvariantBroken


def lock_sending(user_id: int) -> None:
    """Hold the person's sending lock until commit."""
    if not connection.in_atomic_block:
        raise InvariantBroken("sending is locked inside a transaction")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"messaging:{user_id}"]
        )
