"""Row locks of the catalogue. Courses are no money: they have no rank and are locked alone."""

from content.models import Course


def course_locked(course_id: int) -> Course:
    """The course, locked until commit. Raises `Course.DoesNotExist`."""
    return Course.objects.select_for_update(of=("self",)).get(pk=course_id)
