"""Figures of the catalogue that come from learners' doings."""

from collections.abc import Iterable

from django.db import connection

from content.services import figures_set, hot_scores_set
from content.services.figures import Figures
from kernel import clock

# Counted ratings of learners; for imported data the newest rating of each imported user.
_FIGURES = """
WITH wanted AS (SELECT unnest(%s::bigint[]) AS id),
ratings AS (
    SELECT course_id, stars::float8 AS stars FROM feedback_rating
    WHERE counted AND course_id IN (SELECT id FROM wanted)
    UNION ALL
    SELECT course_id, value FROM (
        SELECT DISTINCT ON (course_id, user_id) course_id, value FROM feedback_event
        WHERE origin = 'import' AND type = 'rating' AND value IS NOT NULL
            AND course_id IN (SELECT id FROM wanted)
        ORDER BY course_id, user_id, occurred_at DESC, id DESC
    ) AS newest
),
learners AS (
    SELECT course_id, user_id FROM feedback_courseprogress
    WHERE started_at IS NOT NULL AND course_id IN (SELECT id FROM wanted)
    UNION
    SELECT course_id, user_id FROM feedback_event
    WHERE origin = 'import' AND type <> 'impression' AND course_id IN (SELECT id FROM wanted)
),
r AS (SELECT course_id, sum(stars) AS stars, count(*) AS votes FROM ratings GROUP BY 1),
l AS (SELECT course_id, count(*) AS people FROM learners GROUP BY 1)
SELECT wanted.id, coalesce(r.stars, 0), coalesce(r.votes, 0), coalesce(l.people, 0)
FROM wanted LEFT JOIN r ON r.course_id = wanted.id LEFT JOIN l ON l.course_id = wanted.id
"""

# Heat: for each learner the strongest thing done with the course in 30 days, halved each week,
# so that one person's hundred clicks weigh as one; plus the logarithm of all learners, which
# orders a shop that nobody visited lately.
_HEAT = """
WITH strongest AS (
    SELECT course_id, user_id,
        max(CASE type
                WHEN 'purchase' THEN 5.0 WHEN 'complete' THEN 4.0 WHEN 'favourite' THEN 3.0
                WHEN 'share' THEN 3.0 WHEN 'rating' THEN 2.0 WHEN 'play' THEN 2.0
                WHEN 'question' THEN 2.0 ELSE 1.0 END
            * power(0.5, extract(epoch FROM %s - occurred_at) / 604800.0)) AS heat
    FROM feedback_event
    WHERE type NOT IN ('impression', 'search') AND course_id IS NOT NULL
        AND occurred_at > %s - interval '30 days'
    GROUP BY course_id, user_id
),
total AS (SELECT course_id, sum(heat) AS heat FROM strongest GROUP BY course_id),
scored AS (
    SELECT c.id, c.hot_score AS old,
        (coalesce(t.heat, 0) + ln(1 + c.learner_count))::float8 AS new
    FROM content_course AS c LEFT JOIN total AS t ON t.course_id = c.id
    WHERE c.status = 'published'
)
SELECT id, round(new::numeric, 4)::float8 FROM scored WHERE abs(new - old) > 0.001
"""


def course_figures_refresh(course_ids: Iterable[int]) -> int:
    """Rating and learners of these courses, counted anew from the rows; returns how many.

    For imports: while learners rate the same courses, a rating in between could be lost.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES, [sorted(set(course_ids))])
        rows = cursor.fetchall()
    return figures_set(
        {
            pk: Figures(rating_sum=float(stars), rating_count=votes, learner_count=people)
            for pk, stars, votes, people in rows
        }
    )


def hot_scores_refresh() -> int:
    """Every published course has the heat of now; returns how many changed."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_HEAT, [now, now])
        scores = dict(cursor.fetchall())
    return hot_scores_set(scores)
