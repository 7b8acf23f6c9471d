"""The figures that cards show. Each is moved by one UPDATE with F(), so none is lost."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import F

from content.models import Course


def course_rating_add(*, course_id: int, stars: float, votes: int) -> None:
    """`stars` (may be negative) and `votes` (-1, 0, 1) are added to the public rating."""
    Course.objects.filter(pk=course_id).update(
        rating_sum=F("rating_sum") + stars, rating_count=F("rating_count") + votes
    )


def course_learners_add(*, course_id: int, learners: int = 1) -> None:
    """The course has `learners` more people who bought or opened it."""
    Course.objects.filter(pk=course_id).update(learner_count=F("learner_count") + learners)


@dataclass(frozen=True)
class Figures:
    """What the raw rows say about a course, counted anew."""

    rating_sum: float
    rating_count: int
    learner_count: int


def figures_set(figures: Mapping[int, Figures]) -> int:
    """The counted figures replace the kept ones; returns how many courses were given."""
    rows = [
        Course(
            pk=pk,
            rating_sum=f.rating_sum,
            rating_count=f.rating_count,
            learner_count=f.learner_count,
        )
        for pk, f in sorted(figures.items())
    ]
    Course.objects.bulk_update(
        rows, ["rating_sum", "rating_count", "learner_count"], batch_size=1000
    )
    return len(rows)


def hot_scores_set(scores: Mapping[int, float]) -> int:
    """Heat of each course, as the feedback app measured it."""
    rows = [Course(pk=pk, hot_score=score) for pk, score in sorted(scores.items())]
    Course.objects.bulk_update(rows, ["hot_score"], batch_size=1000)
    return len(rows)
