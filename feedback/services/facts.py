"""Interactions that the server knows for sure, kept beside those that clients report."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from content.models import Course
from content.services import course_learners_add
from feedback.locks import course_progress_locked
from feedback.models import CourseProgress, Event
from kernel import clock


def fact_note(
    *,
    key: str,
    user_id: int,
    type: str,  # noqa: A002  (the column's name)
    course_id: int,
    lesson_id: int | None = None,
    value: float | None = None,
    counted: bool = True,
    at: datetime | None = None,
) -> None:
    """The user's event `server:<key>` says this; noted again, the newest word holds."""
    now = clock.now()
    Event.objects.bulk_create(
        [
            Event(
                user_id=user_id,
                client_event_id=f"server:{key}",
                type=type,
                course_id=course_id,
                lesson_id=lesson_id,
                value=value,
                counted=counted,
                occurred_at=at or now,
                received_at=now,
                origin=Event.Origin.SERVER,
            )
        ],
        update_conflicts=True,
        unique_fields=["user", "client_event_id"],
        update_fields=["value", "counted", "occurred_at", "received_at", "lesson"],
    )


def fact_forget(*, key: str, user_id: int) -> None:
    """The user took the fact back (a rating, a favourite): it shapes nothing any more."""
    Event.objects.filter(user_id=user_id, client_event_id=f"server:{key}").delete()


def started(row: CourseProgress, at: datetime) -> None:
    """The learner counts as one of the course from now on, once. Needs the row's lock."""
    if row.started_at is None:
        row.started_at = at
        course_learners_add(course_id=row.course_id)


@transaction.atomic
def courses_bought(*, user_id: int, course_ids: Iterable[int], order_no: str, at: datetime) -> None:
    """Each course has the purchase among the user's interactions and the user as a learner.

    Ids that name no course of ours are left out: scopes are opaque to payments.
    """
    known = Course.objects.filter(pk__in=set(course_ids)).order_by("pk")
    for course_id in known.values_list("pk", flat=True):
        row = course_progress_locked(user_id=user_id, course_id=course_id)
        started(row, at)
        row.save(update_fields=["started_at"])
        fact_note(
            key=f"purchase:{order_no}:{course_id}",
            user_id=user_id,
            type=Event.Type.PURCHASE,
            course_id=course_id,
            at=at,
        )
