"""Stars: kept at once for the rater's own feed, counted in public once enough was watched."""

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from content.models import Course
from content.selectors import course_for_user
from content.services import course_rating_add
from feedback import rules
from feedback.events import RatingSet
from feedback.locks import course_progress_locked
from feedback.models import CourseProgress, Event, Rating
from feedback.services.facts import fact_forget, fact_note
from kernel import clock
from kernel.errors import InvalidInput
from kernel.outbox import publish


@transaction.atomic
def rating_set(*, user: User, course_id: int, stars: int) -> Rating:
    """The user's stars for the course are `stars`; the public mean follows if they count.

    They count from the moment the watched share is reached, and then for good; a creator's
    stars for an own course never do. Holds the learner's row in the course. Raises `NotFound`.
    """
    if not 1 <= stars <= 5:
        raise InvalidInput(fields={"stars": [_("请给出 1 到 5 星。")]})
    course = course_for_user(user, course_id)[0]
    progress = course_progress_locked(user_id=user.pk, course_id=course_id)
    rating = Rating.objects.filter(user_id=user.pk, course_id=course_id).first()
    old_stars, old_votes = _counting(rating)
    at = clock.now()
    if rating is None:
        rating = Rating(user_id=user.pk, course_id=course_id, created_at=at)
    rating.stars = stars
    rating.updated_at = at
    rating.counted = rating.counted or (
        _share_reached(progress, course) and not _own_course(rating, course)
    )
    rating.save()
    new_stars, new_votes = _counting(rating)
    _public(course_id, new_stars - old_stars, new_votes - old_votes)
    _tell(rating)
    return rating


@transaction.atomic
def rating_clear(*, user: User, course_id: int) -> None:
    """The user has no stars for the course; the public mean follows. May be absent already."""
    if not Rating.objects.filter(user_id=user.pk, course_id=course_id).exists():
        return
    course_progress_locked(user_id=user.pk, course_id=course_id)
    rating = Rating.objects.filter(user_id=user.pk, course_id=course_id).first()
    if rating is None:
        return
    stars, votes = _counting(rating)
    rating.delete()
    _public(course_id, -stars, -votes)
    fact_forget(key=f"rating:{course_id}", user_id=user.pk)


def rating_follow(progress: CourseProgress, course: Course) -> None:
    """A waiting rating counts if the watched share is reached now. Needs the row's lock."""
    if not _share_reached(progress, course):
        return
    rating = Rating.objects.filter(
        user_id=progress.user_id, course_id=progress.course_id, counted=False
    ).first()
    if rating is None or _own_course(rating, course):
        return
    rating.counted = True
    rating.save(update_fields=["counted"])
    _public(progress.course_id, rating.stars, 1)
    _tell(rating)


def _counting(rating: Rating | None) -> tuple[int, int]:
    return (rating.stars, 1) if rating is not None and rating.counted else (0, 0)


def _public(course_id: int, stars: int, votes: int) -> None:
    if stars or votes:
        course_rating_add(course_id=course_id, stars=stars, votes=votes)


def _share_reached(progress: CourseProgress, course: Course) -> bool:
    return rules.rating_counts(
        watched_seconds=progress.watched_seconds,
        course_seconds=course.duration_seconds,
        share_percent=settings.KPAY.rating_watched_percent,
    )


def _own_course(rating: Rating, course: Course) -> bool:
    """Whether the rater teaches the course."""
    return course.creator is not None and course.creator.user_id == rating.user_id


def _tell(rating: Rating) -> None:
    fact_note(
        key=f"rating:{rating.course_id}",
        user_id=rating.user_id,
        type=Event.Type.RATING,
        course_id=rating.course_id,
        value=rating.stars,
        counted=rating.counted,
        at=rating.updated_at,
    )
    publish(
        RatingSet(
            user_id=rating.user_id,
            course_id=rating.course_id,
            stars=rating.stars,
            counted=rating.counted,
        ),
        key=f"{rating.user_id}:{rating.course_id}",
    )
