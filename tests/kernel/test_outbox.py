import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import psycopg
import pytest
from django.db import connection, transaction

from kernel import clock, outbox
from kernel.errors import InvariantBroken
from kernel.models import Heartbeat, OutboxRow
from kernel.outbox import Event, deliver_due, publish, subscribe

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Rang(Event):
    kind: ClassVar[str] = "test.rang"
    name: str


def note_the_ring(event: Rang) -> None:
    Heartbeat.objects.create(name=event.name, beat_at=clock.now())
    if event.name.startswith("broken"):
        raise ValueError("no bell")


subscribe(Rang, f"{__name__}.note_the_ring", name="test.note_the_ring")


def publish_ring(name: str) -> None:
    with transaction.atomic():
        publish(Rang(name=name))


def test_a_name_belongs_to_one_handler() -> None:
    subscribe(Rang, f"{__name__}.note_the_ring", name="test.note_the_ring")  # again: harmless

    with pytest.raises(InvariantBroken, match="two handlers"):
        subscribe(Rang, f"{__name__}.publish_ring", name="test.note_the_ring")


def test_an_event_outside_a_transaction_is_refused() -> None:
    with pytest.raises(InvariantBroken):
        publish(Rang(name="x"))


def test_a_rolled_back_fact_is_never_told() -> None:
    @transaction.atomic
    def broken() -> None:
        publish(Rang(name="undone"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()

    assert deliver_due() == 0
    assert not Heartbeat.objects.exists()


def test_a_delivery_has_its_effect_once() -> None:
    publish_ring("once")

    assert deliver_due() == 1
    assert deliver_due() == 0
    assert OutboxRow.objects.get().state == OutboxRow.State.DONE
    assert Heartbeat.objects.count() == 1


def test_eight_workers_deliver_twenty_events_once_each() -> None:
    for number in range(20):
        publish_ring(f"ring{number}")

    def work() -> None:
        deliver_due()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Heartbeat.objects.count() == 20
    assert not OutboxRow.objects.exclude(state=OutboxRow.State.DONE).exists()


def test_a_failing_handler_leaves_no_effect_and_tries_again_later(caplog) -> None:
    publish_ring("broken")

    deliver_due()

    row = OutboxRow.objects.get()
    assert not Heartbeat.objects.exists()
    assert (row.state, row.attempts) == (OutboxRow.State.DUE, 1)
    assert row.last_error == "ValueError: no bell"
    assert row.due_at > clock.now()


def test_after_ten_tries_a_row_is_dead_and_an_operator_may_revive_it() -> None:
    publish_ring("broken")
    for _ in range(outbox.MAX_ATTEMPTS):
        OutboxRow.objects.update(due_at=clock.now() - timedelta(seconds=1))
        deliver_due()
    row = OutboxRow.objects.get()
    assert row.state == OutboxRow.State.DEAD

    outbox.retry_dead(row.pk)

    assert OutboxRow.objects.get().state == OutboxRow.State.DUE


def test_a_process_that_lost_its_lease_can_not_close_the_row() -> None:
    publish_ring("late")
    first, lease = outbox._claim() or pytest.fail("nothing was due")
    OutboxRow.objects.update(due_at=clock.now() - timedelta(seconds=1))
    outbox._claim()

    outbox._deliver(first, lease)

    assert not Heartbeat.objects.exists()
    assert OutboxRow.objects.get().state == OutboxRow.State.DUE


class Broken:
    def send_task(self, *_: object, **__: object) -> None:
        raise psycopg.errors.DuplicateObject("trigger exists")


class Worse:
    def send_task(self, *_: object, **__: object) -> None:
        raise KeyError("a bug of the client")


broken, worse = Broken(), Worse()


@pytest.mark.parametrize(("app", "told"), [("broken", "broker is away"), ("worse", "KeyError")])
def test_a_broker_that_fails_after_the_commit_is_no_error_of_the_caller(
    settings, caplog, app: str, told: str
) -> None:
    """The fact is in the table; the schedule comes by."""
    settings.QUEUE_APP = f"{__name__}.{app}"

    publish_ring("alone")

    assert OutboxRow.objects.get().state == OutboxRow.State.DUE
    assert told in caplog.text
