"""Reading what learners do, each in a fixed number of queries."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import User
from content.models import Course, Lesson
from content.selectors import bought_courses, cards, owned_course_ids
from feedback import rules
from feedback.models import CourseHide, CourseProgress, Event, Favourite, LessonProgress
from kernel.api.fields import rfc3339

Interaction = tuple[int, str, float | None, datetime]

# Built once: the feed asks this of every user.
_RECENT = (
    Event.objects.filter(~Q(type=Event.Type.IMPRESSION), course__isnull=False)
    .order_by("-occurred_at")
    .values_list("course_id", "type", "value", "occurred_at")
)


def recent_interactions(user_id: int, limit: int = 50) -> list[Interaction]:
    """The user's latest (course_id, type, value, occurred_at), newest first, impressions left
    out. One query, answered from the partial index."""
    return list(_RECENT.filter(user_id=user_id)[:limit])


def hidden_course_ids(user_id: int) -> set[int]:
    """Courses that the user does not want to be shown, for either reason."""
    return set(CourseHide.objects.filter(user_id=user_id).values_list("course_id", flat=True))


def training_events() -> QuerySet[Event]:
    """Events that may label the recommender: about a course, no impressions, and no ratings
    from before the watched share."""
    return Event.objects.filter(~Q(type=Event.Type.IMPRESSION), course__isnull=False, counted=True)


def progress_view(progress: LessonProgress | None) -> dict[str, Any]:
    """Progress in a lesson as the API shows it; None is a lesson never opened."""
    if progress is None:
        return {"watched_seconds": 0, "position_seconds": 0, "percent": 0, "finished": False}
    return {
        "watched_seconds": progress.watched_seconds,
        "position_seconds": progress.position_seconds,
        "percent": progress.percent,
        "finished": progress.finished_at is not None,
    }


def watched_bp(user_id: int, scope: str) -> int:
    """How much of a course's time the user has watched, in basis points, rounded down.

    A finished course counts as watched to the end; any other scope as not watched at all.
    Payments asks this for its refund policies (`payments.ports`).
    """
    kind, _colon, number = scope.partition(":")
    if kind != "course" or not number.isascii() or not number.isdigit():
        return 0
    row = (
        CourseProgress.objects.filter(user_id=user_id, course_id=int(number))
        .values_list("watched_seconds", "finished_at", "course__duration_seconds")
        .first()
    )
    if row is None:
        return 0
    seconds, finished_at, length = row
    return 10_000 if finished_at else rules.share_bp(seconds, length)


def neighbours(lesson: Lesson) -> tuple[int | None, int | None]:
    """Ids of the lessons before and after this one in its course."""
    ids = list(Lesson.objects.filter(course_id=lesson.course_id).values_list("pk", flat=True))
    at = ids.index(lesson.pk)
    return (ids[at - 1] if at else None), (ids[at + 1] if at + 1 < len(ids) else None)


def unfinished(user: User) -> QuerySet[CourseProgress]:
    """Courses begun and not finished that the user can still see, for `paginate`."""
    return (
        CourseProgress.objects.filter(
            user_id=user.pk, last_at__isnull=False, finished_at__isnull=True
        )
        .filter(_visible(user))
        .select_related("last_lesson")
        .defer("last_lesson__content")
    )


def favourites(user: User) -> QuerySet[Favourite]:
    """The user's favourites that can still be seen, for `paginate`."""
    return Favourite.objects.filter(user_id=user.pk).filter(_visible(user))


def _visible(user: User) -> Q:
    """On the shelf, or owned by the user though withdrawn."""
    owned = [course_id for _pk, course_id in bought_courses(user.pk)]
    return Q(course__status=Course.Status.PUBLISHED) | Q(
        course__status=Course.Status.WITHDRAWN, course_id__in=owned
    )


def continue_items(user: User, rows: list[CourseProgress]) -> list[dict[str, Any]]:
    """Each begun course with where the learner stopped. Four queries for any number."""
    by_course = _cards(user, (row.course_id for row in rows))
    lesson_ids = [row.last_lesson_id for row in rows if row.last_lesson_id]
    positions = dict(
        LessonProgress.objects.filter(user_id=user.pk, lesson_id__in=lesson_ids).values_list(
            "lesson_id", "position_seconds"
        )
    )
    lengths = _lengths(by_course)
    return [
        {
            "course": by_course[row.course_id],
            "lesson": row.last_lesson
            and {"id": str(row.last_lesson.pk), "title": row.last_lesson.title},
            "position_seconds": positions.get(row.last_lesson_id or 0, 0),
            **course_progress_view(row, lengths.get(row.course_id, 0)),
        }
        for row in rows
        if row.course_id in by_course
    ]


def favourite_items(user: User, rows: list[Favourite]) -> list[dict[str, Any]]:
    """The cards of favourites, in their order."""
    by_course = _cards(user, (row.course_id for row in rows))
    return [by_course[row.course_id] for row in rows if row.course_id in by_course]


def owned_items(user: User, course_ids: list[int]) -> list[dict[str, Any]]:
    """Cards of the user's courses, each with `progress`."""
    by_course = _cards(user, course_ids)
    lengths = _lengths(by_course)
    rows = {
        row.course_id: row
        for row in CourseProgress.objects.filter(user_id=user.pk, course_id__in=course_ids)
    }
    return [
        {
            **by_course[pk],
            "progress": course_progress_view(
                rows.get(pk) or CourseProgress(course_id=pk), lengths.get(pk, 0)
            ),
        }
        for pk in course_ids
        if pk in by_course
    ]


def course_progress_view(row: CourseProgress, length: int) -> dict[str, Any]:
    """How far a learner is in a course; `percent` of all its seconds, rounded down."""
    return {
        "percent": 100 if row.finished_at else rules.percent(row.watched_seconds, length),
        "lessons_finished": row.lessons_finished,
        "finished": row.finished_at is not None,
        "last_at": rfc3339(row.last_at),
    }


def _cards(user: User, course_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    owned = owned_course_ids(user.pk)
    found = cards(list(course_ids), owned=owned, withdrawn=True)
    return {int(card["id"]): card for card in found}


def _lengths(course_ids: Iterable[int]) -> dict[int, int]:
    rows = Course.objects.filter(pk__in=list(course_ids))
    return dict(rows.values_list("pk", "duration_seconds"))
