"""A shadow beside the serving model: who foresaw learners' next new courses better?

Nobody's feed changes. Both models rank every course on the shelf that a learner had not touched,
from what was known the moment before, and are asked for the course the learner took up. Both were
trained before that. What learners take up was influenced by the serving model's own feeds, so a
tie speaks for the shadow.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from accounts.models import User
from content.models import Course
from feedback.models import Event
from kernel import clock
from recommender.core.serving import top_k
from recommender.histories import NOBODY, Past, published_rows, read_pasts
from recommender.labels import read_labels
from recommender.models import ModelVersion, ServingPointer, ShadowComparison
from recommender.services.versions import shadow_note
from recommender.serving.holder import Loaded, load

MOST_USERS = 300  # a comparison; newest first steps
TOP = 10


def _table(model: Any) -> str:
    return str(model._meta.db_table)


# The first course that each learner took up in the window and had not touched before.
STEPS_SQL = f"""
SELECT DISTINCT ON (e.user_id) e.user_id, e.course_id, e.occurred_at
FROM {_table(Event)} e
JOIN {_table(Course)} c ON c.id = e.course_id AND c.status = 'published'
JOIN {_table(User)} u ON u.id = e.user_id AND u.personalised_feed
WHERE e.received_at > %(since)s AND e.received_at <= %(until)s
  AND e.occurred_at > %(since)s AND e.type NOT IN ('impression', 'search')
  AND NOT EXISTS (
    SELECT 1 FROM {_table(Event)} p
    WHERE p.user_id = e.user_id AND p.course_id = e.course_id
      AND p.occurred_at < e.occurred_at AND p.type NOT IN ('impression', 'search'))
ORDER BY e.user_id, e.occurred_at
"""  # noqa: S608  (names of our own tables)


@dataclass
class Tally:
    """One model's figures, learner by learner."""

    ndcg: list[float] = field(default_factory=list)
    hit: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)


def shadow_compare() -> ShadowComparison | None:
    """Compare what happened since the last comparison; None without a shadow or new steps."""
    shadow = ModelVersion.objects.filter(shadowed_at__isnull=False).exclude(path="").first()
    pointer = ServingPointer.objects.select_related("version").first()
    serving = pointer.version if pointer else None
    if shadow is None or shadow.shadowed_at is None or serving is None or serving == shadow:
        return None
    last = ShadowComparison.objects.filter(version=shadow, against=serving).first()
    since = max(shadow.shadowed_at, shadow.created_at, serving.created_at)
    since, until = (last.until if last else since), clock.now()
    steps = _steps(since, until)
    if not steps:
        return None
    models = load(shadow.version, shadow.path), load(serving.version, serving.path)
    return shadow_note(_compared(shadow, serving, since, until, steps, models))


def _steps(since: datetime, until: datetime) -> list[tuple[int, int, datetime]]:
    with connection.cursor() as cursor:
        cursor.execute(STEPS_SQL, {"since": since, "until": until})
        found = cursor.fetchall()
    return sorted(found, key=lambda step: step[2], reverse=True)[:MOST_USERS]


def _compared(
    shadow: ModelVersion,
    serving: ModelVersion,
    since: datetime,
    until: datetime,
    steps: Sequence[tuple[int, int, datetime]],
    models: tuple[Loaded, Loaded],
) -> ShadowComparison:
    before = {user: moment for user, _course, moment in steps}
    pasts, labels = read_pasts(list(before), before), read_labels(list(before))
    shelves = [published_rows(model) for model in models]
    tallies, overlaps = (Tally(), Tally()), []
    for user, course, moment in steps:
        past = pasts.get(user, NOBODY)
        tops = [
            _top(model, past, labels.get(user, ()), shelf, moment, tally)
            for model, shelf, tally in zip(models, shelves, tallies, strict=True)
        ]
        overlaps.append(len(set(tops[0]) & set(tops[1])) / TOP)
        for top, tally in zip(tops, tallies, strict=True):
            tally.hit.append(float(course in top))
            tally.ndcg.append(1 / math.log2(top.index(course) + 2) if course in top else 0.0)
    new, old = tallies
    return ShadowComparison(
        version=shadow,
        against=serving,
        since=since,
        until=until,
        users=len(steps),
        overlap=_mean(overlaps),
        ndcg=_mean(new.ndcg),
        against_ndcg=_mean(old.ndcg),
        hit_rate=_mean(new.hit),
        against_hit_rate=_mean(old.hit),
        p95_ms=round(float(np.percentile(new.took, 95)), 3),
        against_p95_ms=round(float(np.percentile(old.took, 95)), 3),
    )


def _top(
    loaded: Loaded,
    past: Past,
    labels: Sequence[str],
    shelf: NDArray[np.bool_],
    moment: datetime,
    tally: Tally,
) -> list[int]:
    """Course ids of the best TOP that were new to the learner."""
    begun = time.perf_counter()
    scores = loaded.model.score_one(past.history(loaded, moment.timestamp(), labels))
    tally.took.append((time.perf_counter() - begun) * 1000)
    touched = loaded.rows(np.fromiter(past.touched, np.int64, len(past.touched)))
    rows = top_k(scores, TOP, np.concatenate([np.flatnonzero(~shelf), touched]))
    return [int(course) for course in loaded.course_ids[rows]]


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 5)
