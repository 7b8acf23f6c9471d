"""What a learner says about a recommended course."""

from __future__ import annotations

import uuid

from feedback.services import hide_course
from recommender.errors import UnknownRequest
from recommender.models import FeedRequest


def feed_feedback(*, user_id: int, request_id: uuid.UUID, course_id: int, action: str) -> None:
    """The course is waved off (or back in) from the next feed on.

    UnknownRequest when the request is not this learner's or did not hold the course.
    """
    shown = FeedRequest.objects.filter(pk=request_id, user_id=user_id, items__contains=[course_id])
    if not shown.exists():
        raise UnknownRequest
    hide_course(user_id=user_id, course_id=course_id, action=action, request_id=request_id)
