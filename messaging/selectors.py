"""Courses to name in a reply, and how much we wrote to somebody already."""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from accounts.models import User
from content.selectors import published_courses
from kernel import clock
from messaging.models import OutboundMessage
from messaging.rules import RECOMMENDED, Suggestion
from recommender.serving import recommend_for_user


def suggestions_for(user: User | None) -> list[Suggestion]:
    """Three personal courses with reasons; popular ones for somebody we do not know."""
    personal = recommend_for_user(user.pk, k=RECOMMENDED) if user is not None else []
    if personal:
        return [Suggestion(one.course_id, one.title, one.reason_text) for one in personal]
    rows = published_courses().order_by("-hot_score", "-pk").values_list("pk", "title")
    return [Suggestion(pk, title, _("近期最受欢迎")) for pk, title in rows[:RECOMMENDED]]


def marketing_count_today(user_id: int) -> int:
    """Marketing messages of the shop's day that were sent or may still be."""
    today = clock.local_date()
    start = datetime(today.year, today.month, today.day, tzinfo=clock.SHOP_ZONE)
    return (
        OutboundMessage.objects.filter(
            user_id=user_id,
            kind=OutboundMessage.Kind.MARKETING,
            created_at__gte=start,
            created_at__lt=start + timedelta(days=1),
        )
        .exclude(state__in=[OutboundMessage.State.SKIPPED, OutboundMessage.State.REFUSED])
        .count()
    )
