"""What was watched: the union of intervals, bounded by the server's own clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.models import User
from content.models import Lesson
from content.selectors import lesson_for_user
from feedback import intervals, rules
from feedback.events import CourseFinished, LessonFinished
from feedback.intervals import Interval
from feedback.locks import course_progress_locked
from feedback.models import CourseProgress, Event, LessonProgress, ProgressSession
from feedback.rules import Credit
from feedback.services.facts import fact_note, started
from feedback.services.ratings import rating_follow
from kernel import clock
from kernel.outbox import publish


@dataclass(frozen=True)
class Heartbeat:
    """One report of a player. Intervals are seconds [from, to) of the lesson."""

    session_id: str
    seq: int
    intervals: Sequence[Interval]
    position_seconds: int
    rate: float = 1.0


@transaction.atomic
def lesson_opened(*, user_id: int, lesson: Lesson) -> LessonProgress:
    """The lesson's clock runs for this user, and the user is a learner of the course.

    Opening again forgives no more than 15 s of unreported time. Holds the learner's row in
    the course.
    """
    at = clock.now()
    row = course_progress_locked(user_id=user_id, course_id=lesson.course_id)
    started(row, at)
    row.last_at, row.last_lesson = at, lesson
    row.save(update_fields=["started_at", "last_at", "last_lesson"])
    progress, made = _progress(user_id, lesson, at)
    if not made:
        progress.credit_ms = Credit(progress.credit_ms).after_pause(_elapsed(progress, at)).ms
        progress.clock_at = max(progress.clock_at, at)
        progress.save(update_fields=["credit_ms", "clock_at"])
    return progress


@transaction.atomic
def progress_report(*, user: User, lesson_id: int, heartbeat: Heartbeat) -> LessonProgress:
    """The union of what the user watched holds the heartbeat's seconds, as far as time allows.

    All devices together get 15 s plus the time since the lesson was opened, times the speed
    (3 at most): the rest of one report is carried to the next up to 15 s, so that many small
    reports gain nothing over a large one. A repeated (session_id, seq) changes nothing.
    At 90 % the lesson is finished, once. Texts count the seconds they were open, against
    their reading time. Holds the learner's row in the course. Raises `NotFound` and
    `AccessRequired`.
    """
    lesson, _access = lesson_for_user(user, lesson_id)
    at = clock.now()
    row = course_progress_locked(user_id=user.pk, course_id=lesson.course_id)
    progress, _made = _progress(user.pk, lesson, at)
    newest = _note_seq(progress, heartbeat, at)
    if newest is None:
        return progress
    started(row, at)
    before = progress.percent
    added = _watch(progress, lesson, heartbeat, at)
    if newest:
        length = lesson.duration_seconds or heartbeat.position_seconds
        progress.position_seconds = min(heartbeat.position_seconds, length)
    just_finished = progress.finished_at is None and progress.percent >= rules.FINISHED_PERCENT
    if just_finished:
        progress.finished_at = at
    progress.save()
    row.last_at, row.last_lesson = at, lesson
    row.watched_seconds += added
    if just_finished:
        _finish_lesson(row, lesson, at)
    row.save()
    if rules.play_mark(progress.percent) > rules.play_mark(before):
        fact_note(
            key=f"play:{lesson.pk}",
            user_id=user.pk,
            type=Event.Type.PLAY,
            course_id=lesson.course_id,
            lesson_id=lesson.pk,
            value=progress.percent,
            at=at,
        )
    if added:
        rating_follow(row, lesson.course)
    return progress


def _progress(user_id: int, lesson: Lesson, at: datetime) -> tuple[LessonProgress, bool]:
    """The row of user and lesson; a new one starts with 15 s of credit."""
    return LessonProgress.objects.get_or_create(
        user_id=user_id,
        lesson_id=lesson.pk,
        defaults={
            "course_id": lesson.course_id,
            "opened_at": at,
            "clock_at": at,
            "credit_ms": rules.GRACE_MS,
        },
    )


def _elapsed(progress: LessonProgress, at: datetime) -> int:
    return int((at - progress.clock_at).total_seconds() * 1000)


def _note_seq(progress: LessonProgress, heartbeat: Heartbeat, at: datetime) -> bool | None:
    """None for a heartbeat that was handled before; else whether it is the session's newest."""
    session, _made = ProgressSession.objects.get_or_create(
        progress=progress,
        session_id=heartbeat.session_id,
        defaults={"started_at": at, "last_at": at},
    )
    if intervals.contains(session.seqs, heartbeat.seq):
        return None
    newest = not session.seqs or heartbeat.seq >= session.seqs[-1][1]
    session.seqs = intervals.union(session.seqs, [(heartbeat.seq, heartbeat.seq + 1)])
    session.last_at = at
    session.save(update_fields=["seqs", "last_at"])
    return newest


def _watch(progress: LessonProgress, lesson: Lesson, heartbeat: Heartbeat, at: datetime) -> int:
    """Adds what the clock allows to the row (not saved); returns how many seconds were new."""
    credit = Credit(progress.credit_ms).grown(_elapsed(progress, at), heartbeat.rate)
    result = rules.watched(
        before=progress.intervals,
        reported=list(heartbeat.intervals),
        length=rules.lesson_length(lesson.duration_seconds),
        credit=credit,
    )
    progress.intervals = result.intervals
    progress.watched_seconds = result.seconds
    progress.percent = result.percent
    progress.credit_ms = result.credit.ms
    progress.clock_at = max(progress.clock_at, at)
    return result.added


def _finish_lesson(row: CourseProgress, lesson: Lesson, at: datetime) -> None:
    """Tells that the lesson is finished, and the course with its last one (row not saved)."""
    user_id, course_id = row.user_id, row.course_id
    row.lessons_finished += 1
    fact_note(
        key=f"complete:{lesson.pk}",
        user_id=user_id,
        type=Event.Type.COMPLETE,
        course_id=course_id,
        lesson_id=lesson.pk,
        value=100,
        at=at,
    )
    publish(
        LessonFinished(user_id=user_id, lesson_id=lesson.pk, course_id=course_id),
        key=f"{user_id}:{lesson.pk}",
    )
    if row.finished_at is None and row.lessons_finished >= lesson.course.lesson_count:
        row.finished_at = at
        publish(CourseFinished(user_id=user_id, course_id=course_id), key=f"{user_id}:{course_id}")
