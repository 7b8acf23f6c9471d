"""The figures that cards show. Each is moved by one UPDATE with F(), so none is lost."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection
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


# One statement: `bulk_update` builds a CASE of a thousand branches, seconds for 10,000 courses.
_FIGURES = """
UPDATE content_course AS c
SET rating_sum = n.stars, rating_count = n.votes, learner_count = n.people
FROM unnest(%s::bigint[], %s::float8[], %s::int[], %s::int[]) AS n(id, stars, votes, people)
WHERE c.id = n.id
"""
_HEAT = """
UPDATE content_course AS c SET hot_score = n.heat
FROM unnest(%s::bigint[], %s::float8[]) AS n(id, heat) WHERE c.id = n.id
"""


def figures_set(figures: Mapping[int, Figures]) -> int:
    """The counted figures replace the kept ones; returns how many courses were given."""
    ids = sorted(figures)
    with connection.cursor() as cursor:
        cursor.execute(
            _FIGURES,
            [
                ids,
                [figures[pk].rating_sum for pk in ids],
                [figures[pk].rating_count for pk in ids],
                [figures[pk].learner_count for pk in ids],
            ],
        )
    return len(ids)


def hot_scores_set(scores: Mapping[int, float]) -> int:
    """Heat of each course, as the feedback app measured it."""
    ids = sorted(scores)
    with connection.cursor() as cursor:
        cursor.execute(_HEAT, [ids, [scores[pk] for pk in ids]])
    return len(ids)
