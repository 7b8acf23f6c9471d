"""What a learner says about a recommended course."""

from __future__ import annotations

import uuid
from datetime import timedelta

from feedback.services import hide_course
from kernel import clock
from recommender.errors import UnknownRequest
from recommender.models import FeedRequest

KEPT_DAYS = 180  # logs of what people were shown are kept 6 months
BATCH = 5000


def feeds_forget() -> int:
    """Records of feeds older than six months are gone, a batch at a time; returns how many."""
    old = FeedRequest.objects.filter(created_at__lt=clock.now() - timedelta(days=KEPT_DAYS))
    gone = 0
    while batch := list(old.values_list("pk", flat=True)[:BATCH]):
        gone += FeedRequest.objects.filter(pk__in=batch).delete()[0]
    return gone


def feed_feedback(*, user_id: int, request_id: uuid.UUID, course_id: int, action: str) -> None:
    """The course is waved off (or back in) from the next feed on.

    UnknownRequest when the request is not this learner's or did not hold the course.
    """
    shown = FeedRequest.objects.filter(pk=request_id, user_id=user_id, items__contains=[course_id])
    if not shown.exists():
        raise UnknownRequest
    hide_course(user_id=user_id, course_id=course_id, action=action, request_id=request_id)
