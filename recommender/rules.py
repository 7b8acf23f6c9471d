"""What an event says about a learner, and the words for it. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

DISLIKE_STARS = 2.5  # up to here a rating is never a like
LIKE_STARS = 4.0

# Weight of one event in the learner's history; 1 is an ordinary interaction.
EVENT_WEIGHTS = {
    "view": 0.4,
    "click": 0.3,
    "play": 0.7,
    "question": 0.7,
    "share": 1.0,
    "favourite": 1.2,
    "complete": 1.2,
    "purchase": 1.5,
}
STRONG = frozenset({"rating", "purchase", "complete"})  # such a course is not recommended again


def event_weight(kind: str, value: float | None) -> float:
    """How much one event speaks for a course; negative for a dislike, 0 for nothing.

    Ratings count by their distance from the middle of the scale: 5 stars 1.5, 4 stars 1, 3
    stars .5, and up to 2.5 stars -1. A play counts by the share watched (`value` in per cent).
    """
    if kind == "rating":
        if value is None:
            return 0.0
        return (value - 2) / 2 if value > DISLIKE_STARS else -1.0
    weight = EVENT_WEIGHTS.get(kind, 0.0)
    if kind == "play" and value is not None:
        return weight * (0.4 + 0.6 * min(max(value, 0.0), 100.0) / 100)
    return weight


@dataclass(frozen=True)
class Past:
    """What a reason may say about one course of the learner's past."""

    course_id: int
    title: str
    kind: str
    value: float | None


BECAUSE = {
    "purchase": gettext_lazy("因为你购买了《%(title)s》"),
    "favourite": gettext_lazy("因为你收藏了《%(title)s》"),
    "share": gettext_lazy("因为你分享过《%(title)s》"),
    "complete": gettext_lazy("因为你学完了《%(title)s》"),
    "play": gettext_lazy("因为你学过《%(title)s》"),
    "question": gettext_lazy("因为你在《%(title)s》里提过问题"),
    "view": gettext_lazy("因为你看过《%(title)s》"),
}


def because_text(past: Past) -> str:
    """One sentence naming the past course and what the learner did with it."""
    title = past.title
    if past.kind == "rating" and past.value is not None:
        if past.value >= LIKE_STARS:
            return _("因为你给《%(title)s》打了%(stars)s星") % {
                "title": title,
                "stars": f"{past.value:g}",
            }
        return _("因为你评价过《%(title)s》") % {"title": title}
    return BECAUSE.get(past.kind, BECAUSE["view"]) % {"title": title}
