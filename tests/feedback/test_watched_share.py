"""How much of a course somebody used, as refund policies ask it."""

import pytest

from content.models import Course
from feedback.models import CourseProgress
from feedback.selectors import watched_bp
from kernel import clock
from payments import ports

pytestmark = pytest.mark.django_db


@pytest.fixture
def course(db):
    return Course.objects.create(title="课程", duration_seconds=999)


@pytest.mark.parametrize(
    ("seconds", "share"), [(0, 0), (1, 10), (299, 2992), (300, 3003), (999, 10_000), (5000, 10_000)]
)
def test_it_is_the_watched_part_of_the_whole_time_rounded_down(learner, course, seconds, share):
    user = learner()
    CourseProgress.objects.create(user=user, course=course, watched_seconds=seconds)

    assert watched_bp(user.pk, course.scope) == share
    assert ports.watched_bp(user.pk, course.scope) == share


def test_a_finished_course_is_used_up(learner, course):
    user = learner()
    CourseProgress.objects.create(
        user=user, course=course, watched_seconds=900, finished_at=clock.now()
    )

    assert watched_bp(user.pk, course.scope) == 10_000


@pytest.mark.parametrize("scope", ["", "course:", "course:x", "course:0", "membership:vip", "²"])
def test_what_is_no_course_of_theirs_is_not_used(learner, course, scope):
    user = learner()

    assert watched_bp(user.pk, scope) == 0
    assert watched_bp(user.pk, course.scope) == 0
    assert watched_bp(user.pk, f"course:{'9' * 18}") == 0
