"""What the recommender knows about a learner, for the learner's own eyes; runs for operators.

Drift is in `drift.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F, Q, Sum

from accounts.models import User
from content.models import Category, Course
from kernel import clock
from recommender.models import ModelVersion, ShadowComparison, TrainingRun
from recommender.serving.state import read_state

TOP_TAGS = 20


@dataclass(frozen=True)
class InterestTag:
    tag: str
    kind: str  # "category" or "tag"
    source: str  # "declared" or "behaviour"
    weight: float  # 0..1, share of the strongest


def interest_tags(user: User) -> list[InterestTag]:
    """The tags used about the user now, declared ones first, then by weight. Four queries.

    A deleted tag is absent, and so is what only courses with that tag would say.
    """
    state = read_state(user.pk)
    names = dict(Category.objects.filter(key__in=user.interests).values_list("key", "name"))
    declared = [
        names.get(key, key)
        for key in user.interests
        if key not in state.deleted_tags and names.get(key, key) not in state.deleted_tags
    ]
    weights: dict[tuple[str, str], float] = {}
    liked = {one.past.course_id: one.weight for one in state.liked}
    columns = ("pk", "tag_names", "category__name")
    for pk, tags, category in Course.objects.filter(pk__in=liked).values_list(*columns):
        found = [("tag", tag) for tag in tags]
        if category:
            found.append(("category", category))
        for name in found:
            weights[name] = weights.get(name, 0.0) + liked[pk]
    top = sorted(weights.items(), key=lambda entry: (-entry[1], entry[0]))[:TOP_TAGS]
    largest = max(weights.values(), default=1.0)
    behaviour = [
        InterestTag(tag, kind, "behaviour", round(weight / largest, 3))
        for (kind, tag), weight in top
        if tag not in state.deleted_tags and tag not in declared
    ]
    return [InterestTag(tag, "category", "declared", 1.0) for tag in declared] + behaviour


def training_is_due(*, from_hour: int) -> bool:
    """No run waits or runs, and none was asked for since the last `from_hour` o'clock."""
    now = clock.now().astimezone(clock.SHOP_ZONE)
    since = now.replace(hour=from_hour, minute=0, second=0, microsecond=0)
    if since > now:
        since -= timedelta(days=1)
    waiting = (TrainingRun.Status.QUEUED, TrainingRun.Status.RUNNING)
    counted = Q(status__in=waiting) | Q(created_at__gte=since)
    return not TrainingRun.objects.filter(counted).exists()


def run_following(run_id: int) -> TrainingRun:
    """The run as it is now; once its worker died, the run that took it up."""
    run = TrainingRun.objects.get(pk=run_id)
    while successor := TrainingRun.objects.filter(resumes_id=run.pk).first():
        run = successor
    return run


@dataclass(frozen=True)
class ShadowTotal:
    """All comparisons of one shadow with one serving version; means over their learners."""

    against: str
    users: int
    overlap: float
    ndcg: float
    against_ndcg: float
    hit_rate: float
    against_hit_rate: float


def shadow_totals(version: ModelVersion) -> list[ShadowTotal]:
    """One total per serving version, the newest first. One query."""
    names = ("overlap", "ndcg", "against_ndcg", "hit_rate", "against_hit_rate")
    sums = {f"sum_{name}": Sum(F(name) * F("users")) for name in names}
    rows: Any = (
        ShadowComparison.objects.filter(version=version)
        .values("against_id", "against__version")
        .annotate(learners=Sum("users"), **sums)
        .order_by("-against_id")
    )
    return [
        ShadowTotal(
            row["against__version"],
            row["learners"],
            *(row[f"sum_{name}"] / row["learners"] for name in names),
        )
        for row in rows
    ]
