"""What the tables say about one learner right now, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson

from accounts.models import Identity
from content.models import Category, Course
from feedback.models import CourseHide, Event
from kernel import clock, sql
from payments.models import Entitlement
from recommender import rules
from recommender.core.data import History
from recommender.core.matrix import pair_weights
from recommender.models import FeedRequest, ModelVersion, ServingPointer, TagDeletion
from recommender.serving.holder import Loaded

EVENTS = 2000  # newest events looked at for courses that are done with
RECENT = 50  # courses that speak for the learner (`recsys.md`: older ones weigh nothing)
FATIGUE_REQUESTS = 8
FATIGUE_DAYS = 3
FATIGUE_PLACES = 20
FREE_TIMES = 3  # a course may be shown so often before it tires


def _table(model: Any) -> str:
    return str(model._meta.db_table)


# One row of arrays. The index of events (user, -occurred_at, including course, type and value)
# answers both `recent` and the courses that are done with, without touching the heap.
STATE_SQL = f"""
WITH recent AS MATERIALIZED (
    SELECT course_id, type, value, occurred_at
    FROM {_table(Event)}
    WHERE user_id = %(user)s AND type <> 'impression' AND course_id IS NOT NULL
    ORDER BY occurred_at DESC LIMIT {2 * RECENT}
), gone AS MATERIALIZED (
    SELECT array_agg(tag::text) AS tags FROM {_table(TagDeletion)} WHERE user_id = %(user)s
), past AS (
    SELECT r.*, c.title, c.category_id, c.creator_id,
           (SELECT c.tag_names::text[] && g.tags OR k.name = ANY(g.tags) OR k.key = ANY(g.tags)
            FROM gone g) AS muted
    FROM recent r
    JOIN {_table(Course)} c ON c.id = r.course_id
    LEFT JOIN {_table(Category)} k ON k.id = c.category_id
)
SELECT
    (SELECT json_agg(json_build_array(course_id, type, value, extract(epoch FROM occurred_at),
        title, COALESCE(muted, false)))::text FROM past),
    (SELECT array_agg(course_id) FROM (
        SELECT course_id, type FROM {_table(Event)}
        WHERE user_id = %(user)s AND type <> 'impression' AND course_id IS NOT NULL
        ORDER BY occurred_at DESC LIMIT {EVENTS}) e
        WHERE type IN ('rating', 'purchase', 'complete')),
    (SELECT array_agg(course_id) FROM {_table(CourseHide)} WHERE user_id = %(user)s),
    (SELECT array_agg(h.course_id) FROM {_table(CourseHide)} h
        WHERE h.user_id = %(user)s AND h.action = 'less_like_this'),
    (SELECT array_agg(scope) FROM {_table(Entitlement)}
        WHERE user_id = %(user)s AND revoked_at IS NULL AND valid_from <= %(now)s
          AND (valid_until IS NULL OR valid_until > %(now)s)),
    (SELECT ARRAY[v.version, v.path]::text[] FROM {_table(ServingPointer)} p
        JOIN {_table(ModelVersion)} v ON v.id = p.version_id WHERE p.id = 1),
    (SELECT json_object_agg(course, json_build_array(times, passed))::text FROM (
        SELECT course, count(*) AS times,
            count(*) FILTER (WHERE created_at < (SELECT max(occurred_at) FROM recent)) AS passed
        FROM (SELECT items[1:LEAST(served, {FATIGUE_PLACES})] AS shown, created_at
            FROM {_table(FeedRequest)}
            WHERE user_id = %(user)s AND created_at > %(since)s
            ORDER BY created_at DESC LIMIT {FATIGUE_REQUESTS}) r, unnest(r.shown) AS course
        GROUP BY course) f WHERE times > {FREE_TIMES} OR passed > 0),
    (SELECT tags FROM gone),
    (SELECT array_agg(DISTINCT entry_scene::text) FROM {_table(Identity)}
        WHERE user_id = %(user)s AND entry_scene <> '')
"""  # noqa: S608  (names of our own tables; values are parameters)


@dataclass(frozen=True)
class Liked:
    """A course that speaks for the learner, with the event that a reason may name."""

    past: rules.Past
    weight: float
    at: float
    events: tuple[tuple[str, float | None, float], ...] = ()  # (kind, value, time) of them all


@dataclass(frozen=True)
class LearnerState:
    """Everything a feed needs to know about one learner at one moment."""

    liked: list[Liked]  # oldest first, one per course
    disliked: list[int]  # course ids, newest first
    touched: frozenset[int]  # viewed or clicked, not done with
    done: frozenset[int]  # rated, purchased, completed
    hidden: frozenset[int]
    less_like: frozenset[int]
    owned: frozenset[int]  # course ids bought or assigned one by one
    scopes: frozenset[str]  # everything the learner may open now
    deleted_tags: frozenset[str]
    scenes: tuple[str, ...]  # where the learner first came from
    fatigue: dict[int, tuple[int, int]]  # course id -> times shown lately, times passed over
    version: str | None
    version_path: str | None

    def history(self, loaded: Loaded, labels: Sequence[str] = ()) -> History:
        """The liked courses as the model's history, oldest first, weighed as it was trained.

        `labels` is what the learner told; it speaks until the first liked course does.
        """
        rows = loaded.rows(np.array([one.past.course_id for one in self.liked], np.int64))
        now = clock.now().timestamp()
        weights = pair_weights([one.events for one in self.liked], now, loaded.matrix)
        return History.of(rows, weights, [one.at for one in self.liked], labels=labels, now=now)


def read_state(user_id: int, now: datetime | None = None) -> LearnerState:
    """One query, whatever the learner has done."""
    at = now or clock.now()
    values: dict[str, Any] = {
        "user": user_id,
        "now": at,
        "since": at - timedelta(days=FATIGUE_DAYS),
    }
    (row,) = sql.rows(STATE_SQL, values)
    past, done, hidden, less_like, scopes, pointer, fatigue, deleted, scenes = row
    liked, disliked, touched = opinions(orjson.loads(past) if past else [])
    finished = frozenset(done or [])
    version, path = pointer or (None, None)
    tired = orjson.loads(fatigue) if fatigue else {}
    return LearnerState(
        liked=liked,
        disliked=disliked,
        touched=touched - finished,
        done=finished,
        hidden=frozenset(hidden or []),
        less_like=frozenset(less_like or []),
        owned=courses_of(scopes or []),
        scopes=frozenset(scopes or []),
        deleted_tags=frozenset(deleted or []),
        scenes=tuple(sorted(scenes or [])),
        fatigue={int(course): (times, passed) for course, (times, passed) in tired.items()},
        version=version,
        version_path=path,
    )


def courses_of(scopes: list[str]) -> frozenset[int]:
    numbers = (scope.removeprefix("course:") for scope in scopes if scope.startswith("course:"))
    return frozenset(int(number) for number in numbers if number.isdigit())


def opinions(past: list[list[Any]]) -> tuple[list[Liked], list[int], frozenset[int]]:
    """Liked courses (oldest first), disliked ones (newest first), and all that were touched.

    Of several events on a course the strongest counts and gives the reason, at the time of the
    newest; a low rating outweighs everything else. `past` comes newest first.
    """
    strongest: dict[int, tuple[float, str, float | None, str]] = {}
    events: dict[int, list[tuple[str, float | None, float]]] = {}
    newest: dict[int, float] = {}
    disliked: dict[int, None] = {}
    muted: set[int] = set()
    for course, kind, value, moment, title, is_muted in past:
        if newest.get(course, -1.0) < moment:
            newest[course] = moment
        if is_muted:
            muted.add(course)
        events.setdefault(course, []).append((kind, value, moment))
        weight = rules.event_weight(kind, value)
        if weight < 0:
            disliked[course] = None
        elif weight > strongest.get(course, NOTHING)[0]:
            strongest[course] = (weight, kind, value, title)
    kept = [
        Liked(rules.Past(course, title, kind, value), weight, newest[course], tuple(events[course]))
        for course, (weight, kind, value, title) in strongest.items()
        if course not in disliked and course not in muted
    ]
    kept.sort(key=lambda one: (one.at, one.past.course_id))
    return kept[-RECENT:], list(disliked), frozenset(newest)


NOTHING = (0.0, "", None, "")
