"""Row locks of feedback. No money: they have no rank, and are taken before anything else.

The one lock is the learner's row in a course. It orders heartbeats of all devices, ratings and
the purchase's mark for that pair, so that a rating and the heartbeat that makes it count can't
miss each other.
"""

from feedback.models import CourseProgress


def course_progress_locked(*, user_id: int, course_id: int) -> CourseProgress:
    """The learner's row in the course, made where it is new, locked until commit."""
    CourseProgress.objects.bulk_create(
        [CourseProgress(user_id=user_id, course_id=course_id)], ignore_conflicts=True
    )
    return CourseProgress.objects.select_for_update(of=("self",)).get(
        user_id=user_id, course_id=course_id
    )
