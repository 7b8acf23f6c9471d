"""Does what happens now still look like what the serving model learned? Selectors only.

Three signals, each a share that anybody can recompute from the tables: interactions with courses
that came after the model, learners who came after it, and the fall of its click rate since its
first days.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import User
from content.models import Course
from feedback.models import Event
from kernel import clock
from recommender.config import DriftConfig, drift_config
from recommender.models import FeedRequest, ModelVersion, ServingPointer, TrainingRun


@dataclass(frozen=True)
class Signal:
    """One measured share. `events` is what it was measured on; too few cross nothing."""

    name: str
    value: float
    limit: float
    events: int
    text: str

    @property
    def crossed(self) -> bool:
        return self.limit > 0 and self.value > self.limit

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "crossed": self.crossed}


def drift_signals(config: DriftConfig | None = None) -> list[Signal]:
    """What can be judged now against the serving model; empty without one or with few events.

    Three queries.
    """
    c = config or drift_config()
    pointer = ServingPointer.objects.select_related("version").first()
    if pointer is None or pointer.version is None:
        return []
    version, now = pointer.version, clock.now()
    since = max(version.created_at, now - timedelta(days=c.days))
    return [*_new_things(version, since, c), *_clicks(version, now, c)]


def _table(model: Any) -> str:
    return str(model._meta.db_table)


NEW_SQL = f"""
SELECT count(*), count(*) FILTER (WHERE COALESCE(c.published_at, c.created_at) > %(learned)s),
       count(DISTINCT e.user_id),
       count(DISTINCT e.user_id) FILTER (WHERE u.date_joined > %(learned)s)
FROM {_table(Event)} e
JOIN {_table(Course)} c ON c.id = e.course_id AND c.status = 'published'
JOIN {_table(User)} u ON u.id = e.user_id
WHERE e.received_at > %(since)s AND e.type NOT IN ('impression', 'search') AND e.counted
"""  # noqa: S608  (names of our own tables)

# Clicks on what this version recommended, between two moments.
CLICKS_SQL = f"""
SELECT count(*) FILTER (WHERE e.type = 'impression'), count(*) FILTER (WHERE e.type = 'click')
FROM {_table(Event)} e
JOIN {_table(FeedRequest)} f ON f.request_id = e.request_id
WHERE f.model_version = %(version)s AND e.type IN ('impression', 'click')
  AND e.received_at > %(since)s AND e.received_at <= %(until)s
"""  # noqa: S608


def _new_things(version: ModelVersion, since: datetime, c: DriftConfig) -> list[Signal]:
    with connection.cursor() as cursor:
        cursor.execute(NEW_SQL, {"learned": version.created_at, "since": since})
        events, on_new, users, newcomers = cursor.fetchone()
    if events < c.least_events:
        return []
    items, people = on_new / events, newcomers / max(users, 1)
    return [
        Signal(
            "new_items",
            round(items, 4),
            c.new_items,
            events,
            _("新课程占近期行为 %(share).0f%%") % {"share": 100 * items},
        ),
        Signal(
            "new_users",
            round(people, 4),
            c.new_users,
            users,
            _("新学员占近期学员 %(share).0f%%") % {"share": 100 * people},
        ),
    ]


def _clicks(version: ModelVersion, now: datetime, c: DriftConfig) -> list[Signal]:
    """The click rate of the last days beside that of as many first days, when they are apart."""
    length = timedelta(days=c.days)
    served = version.promoted_at or version.created_at
    if now - served < 2 * length:
        return []
    (shown, clicked), (late_shown, late_clicked) = (
        _clicked(version.version, start, start + length) for start in (served, now - length)
    )
    if min(shown, late_shown) < c.least_events or not clicked:
        return []
    before, after = clicked / shown, late_clicked / late_shown
    fall = max(0.0, 1 - after / before)
    text = _("点击率从 %(before).1f%% 变为 %(after).1f%%") % {
        "before": 100 * before,
        "after": 100 * after,
    }
    return [Signal("click_drop", round(fall, 4), c.click_drop, late_shown, text)]


def _clicked(version: str, since: datetime, until: datetime) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(CLICKS_SQL, {"version": version, "since": since, "until": until})
        shown, clicked = cursor.fetchone()
    return int(shown), int(clicked)


def drift_to_train(config: DriftConfig | None = None) -> list[Signal]:
    """The crossed signals, when a training may follow now: none waits, runs, or ran just before."""
    c = config or drift_config()
    waiting = (TrainingRun.Status.QUEUED, TrainingRun.Status.RUNNING)
    lately = clock.now() - timedelta(hours=c.least_hours)
    if TrainingRun.objects.filter(Q(status__in=waiting) | Q(created_at__gt=lately)).exists():
        return []
    return [signal for signal in drift_signals(c) if signal.crossed]
