"""M02 and X01: platform events and their one effect."""

from datetime import timedelta

from kernel import clock
from kernel.ids import new_no
from kernel.selftest import Planted, plant, sql
from payments.models import Effect, EventHandling, PlatformEvent

SOURCE = "selftest"


def _event(**fields: object) -> PlatformEvent:
    values = {"event_id": new_no(), "event_type": "TRANSACTION.SUCCESS", "body": b"{}"}
    return PlatformEvent.objects.create(source=SOURCE, **(values | fields))


def _handled(event: PlatformEvent, state: str) -> None:
    EventHandling.objects.create(
        event=event, kind="selftest", business_key=event.event_id, state=state
    )


@plant("M02", blocked_by={"platform_event_append_only"})
def raw_event_changed() -> Planted:
    return Planted(
        {"what": "append-only trigger missing", "value": "platform_event_append_only"},
        sql("UPDATE payments_platformevent SET body = '' WHERE id = %(id)s", id=_event().pk),
    )


@plant("X01", blocked_by={"platform_event_once"})
def event_stored_twice() -> Planted:
    event = _event()
    _handled(event, EventHandling.State.IGNORED)
    return Planted(
        {"what": "stored twice", "ref": event.event_id}, lambda: _event(event_id=event.event_id)
    )


@plant("X01", blocked_by={"effect_once"})
def two_effects_of_one_key() -> Planted:
    key = new_no()
    Effect.objects.create(kind="selftest", business_key=key, ref="1")
    return Planted(
        {"what": "two effects", "ref": f"selftest {key}"},
        lambda: Effect.objects.create(kind="selftest", business_key=key, ref="2"),
    )


@plant("X01")
def event_nobody_handles() -> Planted:
    id = new_no()
    return Planted({"what": "unhandled", "ref": id}, lambda: _event(event_id=id))


def _handled_as(event: PlatformEvent, state: str, what: str, ref: str) -> Planted:
    _handled(event, EventHandling.State.IGNORED)
    rows = EventHandling.objects.filter(event=event)
    return Planted({"what": what, "ref": ref}, lambda: rows.update(state=state))


@plant("X01")
def event_that_waits_too_long() -> Planted:
    event = _event(received_at=clock.now() - timedelta(minutes=11))
    return _handled_as(event, EventHandling.State.PARKED, "unhandled", event.event_id)


@plant("X01")
def event_done_without_effect() -> Planted:
    event = _event()
    ref = f"selftest {event.event_id}"
    return _handled_as(event, EventHandling.State.DONE, "no effect", ref)
