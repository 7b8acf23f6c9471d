"""Personal courses outside the feed: for an account's message, within the platform's second."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import User
from recommender.serving.feed import first_page

SURFACE = "message"


@dataclass(frozen=True)
class Recommended:
    course_id: int
    title: str
    reason_text: str
    cover_url: str
    request_id: str


def recommend_for_user(user_id: int, k: int = 3) -> list[Recommended]:
    """The first k of this user's feed now, with reasons; no network, five queries.

    Not personal when the user switched personalisation off. Empty for an unknown user or an
    empty shop.
    """
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        return []
    page = first_page(user, surface=SURFACE, limit=k)
    return [
        Recommended(
            course_id=int(one.card["id"]),
            title=one.card["title"],
            reason_text=one.reason.text,
            cover_url=one.card["cover_url"],
            request_id=str(page.request_id),
        )
        for one in page.shown
    ]
