"""A plant for X02: see `kernel.selftest`."""

from datetime import timedelta

from kernel import clock
from kernel.ids import new_no
from kernel.models import OutboxRow
from kernel.selftest import Planted, plant


@plant("X02")
def outbox_row_left_lying() -> Planted:
    handler = f"selftest.{new_no()}"
    at = clock.now() - timedelta(minutes=11)
    return Planted(
        {"handler": handler},
        lambda: OutboxRow.objects.create(
            kind="selftest", payload={}, handler=handler, due_at=at, created_at=at
        ),
    )
