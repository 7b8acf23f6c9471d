"""Batches of events from the mini-program."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from content.models import Course, Lesson
from feedback.event_rules import CleanEvent, Refused, clean, client_id
from kernel import clock

# Counts exactly what was new, also when two batches race: the arrays become one INSERT.
_INSERT = """
INSERT INTO feedback_event
    (user_id, client_event_id, type, course_id, lesson_id, request_id, position, value, query,
     occurred_at, received_at, origin, counted)
SELECT %s, e.*, %s, 'app', true
FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::uuid[], %s::integer[],
            %s::float8[], %s::text[], %s::timestamptz[]) AS e
ON CONFLICT (user_id, client_event_id) DO NOTHING
"""


@dataclass(frozen=True)
class Recorded:
    """What became of a batch; `rejected` names each refused event and why."""

    accepted: int = 0
    duplicate: int = 0
    rejected: list[dict[str, str | None]] = field(default_factory=list)


def events_record(*, user_id: int, raw: Sequence[Any]) -> Recorded:
    """The well-formed events of the batch are stored, each `client_event_id` once per user.

    Malformed or unknown ones are listed with a code and spoil nothing. At most three queries,
    whatever the batch holds.
    """
    now = clock.now()
    rejected: list[dict[str, str | None]] = []
    events: list[CleanEvent] = []
    for item in raw:
        try:
            events.append(clean(item, now=now))
        except Refused as refused:
            own_id = client_id(item.get("client_event_id")) if isinstance(item, dict) else None
            rejected.append({"client_event_id": own_id, "code": refused.code})
    courses, lessons = _known(events)
    good = []
    for event in events:
        code = _refusal(event, courses, lessons)
        if code:
            rejected.append({"client_event_id": event.client_event_id, "code": code})
        else:
            good.append(event)
    fresh = list({event.client_event_id: event for event in reversed(good)}.values())
    accepted = _insert(user_id, fresh, now) if fresh else 0
    return Recorded(accepted, len(good) - accepted, rejected)


def _known(events: Sequence[CleanEvent]) -> tuple[set[int], dict[int, int]]:
    """Courses that are or were on the shelf, and lessons with their course."""
    course_ids = {event.course_id for event in events if event.course_id is not None}
    lesson_ids = {event.lesson_id for event in events if event.lesson_id is not None}
    seen = (Course.Status.PUBLISHED, Course.Status.WITHDRAWN)
    courses = (
        set(Course.objects.filter(pk__in=course_ids, status__in=seen).values_list("pk", flat=True))
        if course_ids
        else set()
    )
    lessons = (
        dict(Lesson.objects.filter(pk__in=lesson_ids).values_list("pk", "course_id"))
        if lesson_ids
        else {}
    )
    return courses, lessons


def _refusal(event: CleanEvent, courses: set[int], lessons: dict[int, int]) -> str:
    """Why the event can't be kept, "" if it can."""
    if event.course_id is not None and event.course_id not in courses:
        return "course_not_found"
    if event.lesson_id is not None and lessons.get(event.lesson_id) != event.course_id:
        return "lesson_not_found"
    return ""


@transaction.atomic
def _insert(user_id: int, events: Sequence[CleanEvent], now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                user_id,
                now,
                [e.client_event_id for e in events],
                [e.type for e in events],
                [e.course_id for e in events],
                [e.lesson_id for e in events],
                [e.request_id for e in events],
                [e.position for e in events],
                [e.value for e in events],
                [e.query for e in events],
                [e.occurred_at for e in events],
            ],
        )
        return int(cursor.rowcount)
