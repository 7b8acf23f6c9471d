"""Addresses of media, signed for one user."""

import logging

from django.conf import settings

from content import tickets
from content.models import Lesson
from kernel import clock

logger = logging.getLogger(__name__)


def play_ticket(*, user_id: int, lesson: Lesson) -> tuple[str, int]:
    """(absolute address, Unix second it ends) of the lesson's media for this user alone.

    The ticket's id is logged, so that an address found elsewhere leads back to its account.
    """
    expires_at = int(clock.timestamp()) + settings.KPAY.play_ticket_seconds
    text, ticket = tickets.issue(
        secret=settings.SECRET_KEY, user_id=user_id, lesson_id=lesson.pk, expires_at=expires_at
    )
    logger.info(
        "play ticket issued",
        extra={"ticket": ticket.id, "user_id": user_id, "lesson_id": lesson.pk},
    )
    return f"{settings.KPAY.public_base_url}/media/play/{text}", expires_at
