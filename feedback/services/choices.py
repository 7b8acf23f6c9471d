"""What a learner marks: favourites, and courses not to be shown again."""

from uuid import UUID

from django.db import transaction

from accounts.models import User
from content.selectors import course_for_user
from feedback.models import CourseHide, Event, Favourite
from feedback.services.facts import fact_forget, fact_note
from kernel import clock

UNDO = "undo"


@transaction.atomic
def favourite_set(*, user: User, course_id: int) -> None:
    """The course is among the user's favourites. Raises `NotFound`."""
    course_for_user(user, course_id)
    made = Favourite.objects.bulk_create(
        [Favourite(user_id=user.pk, course_id=course_id, created_at=clock.now())],
        ignore_conflicts=True,
    )
    if made:
        fact_note(
            key=f"favourite:{course_id}",
            user_id=user.pk,
            type=Event.Type.FAVOURITE,
            course_id=course_id,
        )


@transaction.atomic
def favourite_clear(*, user: User, course_id: int) -> None:
    """The course is no favourite of the user; it may not have been one before."""
    Favourite.objects.filter(user_id=user.pk, course_id=course_id).delete()
    fact_forget(key=f"favourite:{course_id}", user_id=user.pk)


def hide_course(
    *, user_id: int, course_id: int, action: str, request_id: UUID | None = None
) -> None:
    """The feed leaves the course out (`not_interested`), shows less of its kind
    (`less_like_this`), or forgets both (`undo`). The last word holds.

    The caller has checked that the course exists.
    """
    if action == UNDO:
        CourseHide.objects.filter(user_id=user_id, course_id=course_id).delete()
        return
    CourseHide.objects.update_or_create(
        user_id=user_id,
        course_id=course_id,
        defaults={
            "action": CourseHide.Action(action),
            "request_id": request_id,
            "created_at": clock.now(),
        },
    )
