"""What many learners have done, in one query a batch: for shadows and lists for everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from content.models import Category, Course
from feedback.models import CourseHide, Event
from kernel import clock
from payments.models import Entitlement
from recommender import rules
from recommender.core.data import History
from recommender.core.matrix import pair_weights
from recommender.models import TagDeletion
from recommender.serving.holder import Loaded
from recommender.serving.state import RECENT, Liked, courses_of, opinions


def _table(model: Any) -> str:
    return str(model._meta.db_table)


# Newest first per learner; `n` numbers the events that speak for the learner.
PAST_SQL = f"""
SELECT user_id, course_id, type, value, at, muted, n FROM (
    SELECT e.user_id, e.course_id, e.type, e.value,
           extract(epoch FROM e.occurred_at)::float8 AS at,
           EXISTS (
               SELECT 1 FROM {_table(TagDeletion)} d
               WHERE d.user_id = e.user_id
                 AND (d.tag = ANY(c.tag_names) OR d.tag IN (k.name, k.key))
           ) AS muted,
           row_number() OVER (PARTITION BY e.user_id ORDER BY e.occurred_at DESC, e.id) AS n
    FROM {_table(Event)} e
    JOIN unnest(%(users)s::bigint[], %(before)s::timestamptz[]) AS asked(id, before)
      ON asked.id = e.user_id AND e.occurred_at < asked.before
    JOIN {_table(Course)} c ON c.id = e.course_id
    LEFT JOIN {_table(Category)} k ON k.id = c.category_id
    WHERE e.type NOT IN ('impression', 'search')
) past WHERE n <= %(most)s ORDER BY user_id, n
"""  # noqa: S608  (names of our own tables)
MOST = 2000  # newest events of one learner


@dataclass(frozen=True)
class Past:
    """One learner before a moment: what speaks for them, and what they have touched or done."""

    liked: list[Liked]
    touched: frozenset[int]
    done: frozenset[int]

    def history(self, loaded: Loaded, now: float, labels: Sequence[str] = ()) -> History:
        """As the feed builds it (`serving.state`)."""
        rows = loaded.rows(np.array([one.past.course_id for one in self.liked], np.int64))
        weights = pair_weights([one.events for one in self.liked], now, loaded.matrix)
        return History.of(rows, weights, [one.at for one in self.liked], labels=labels, now=now)


NOBODY = Past([], frozenset(), frozenset())


def read_pasts(
    user_ids: Sequence[int], before: Mapping[int, datetime] | None = None
) -> dict[int, Past]:
    """What each learner did, before their own moment where one is given. One query."""
    now = clock.now()
    moments = [(before or {}).get(user, now) for user in user_ids]
    with connection.cursor() as cursor:
        cursor.execute(PAST_SQL, {"users": list(user_ids), "before": moments, "most": MOST})
        rows = cursor.fetchall()
    found: dict[int, list[tuple[Any, ...]]] = {}
    for user, *event in rows:
        found.setdefault(user, []).append(tuple(event))
    return {user: _past(events) for user, events in found.items()}


def _past(events: Sequence[tuple[Any, ...]]) -> Past:
    recent = [
        [course, kind, value, at, "", muted]
        for course, kind, value, at, muted, n in events
        if n <= 2 * RECENT
    ]
    liked, _disliked, _touched = opinions(recent)
    return Past(
        liked,
        frozenset(course for course, *_rest in events),
        frozenset(course for course, kind, *_rest in events if kind in rules.STRONG),
    )


def read_owned_and_hidden(user_ids: Sequence[int]) -> dict[int, set[int]]:
    """Courses that are not recommended to each learner any more. Two queries."""
    found: dict[int, set[int]] = {user: set() for user in user_ids}
    hides = CourseHide.objects.filter(user_id__in=user_ids).values_list("user_id", "course_id")
    for user, course in hides:
        found[user].add(course)
    now = clock.now()
    owned = Entitlement.objects.filter(
        user_id__in=user_ids, revoked_at__isnull=True, valid_from__lte=now
    ).exclude(valid_until__lte=now)
    for user, scope in owned.values_list("user_id", "scope"):
        found[user] |= courses_of([scope])
    return found


def published_rows(loaded: Loaded) -> NDArray[np.bool_]:
    """[items]: which of the model's courses are on the shelf now. One query."""
    shelf = Course.objects.filter(status=Course.Status.PUBLISHED).values_list("pk", flat=True)
    return np.isin(loaded.course_ids, np.fromiter(shelf, np.int64))
