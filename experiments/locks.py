"""The one lock of this app: starts within a layer go one after another."""

from django.db import connection

_LAYERS = 0x6B70_6C79  # namespace of this app's advisory locks, "kply"


def layer_locked(layer: str) -> None:
    """Hold the layer until the transaction ends, so that two starts do not take one bucket."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LAYERS, layer])
