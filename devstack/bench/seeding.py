"""Fills a bench database with a shop that has structure: topics, favourites, a long tail.

`python -m devstack.bench.seeding --courses N --users N --events N --tokens N --out FILE` runs
with the bench database's environment and writes one access token a line.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from pathlib import Path

import django
import numpy as np
from numpy.typing import NDArray

TOPICS = 50
CREATORS = 200
KINDS = ("view", "click", "play", "complete", "rating")
SHARES = (0.5, 0.15, 0.2, 0.08, 0.07)
DAYS = 90
FEWEST, MOST = 20, 50  # events of a learner who holds a token


def seed(*, courses: int, users: int, events: int, tokens: int) -> list[str]:
    """An empty, migrated database becomes the shop; returns the tokens of active learners."""
    course_ids = _catalogue(courses)
    user_ids = _learners(users)
    _interactions(course_ids, user_ids, events, min(tokens, users))
    _figures()
    return tokens_for(user_ids[: min(tokens, users)])


def _catalogue(courses: int) -> NDArray[np.int64]:
    from content.models import Category, Course, Creator  # noqa: PLC0415
    from kernel import clock  # noqa: PLC0415
    from payments.models import Product  # noqa: PLC0415

    now = clock.now()
    topics = Category.objects.bulk_create(
        Category(key=f"topic-{n}", name=f"主题{n}", position=n) for n in range(TOPICS)
    )
    creators = Creator.objects.bulk_create(
        Creator(key=f"creator-{n}", nickname=f"讲师{n}") for n in range(CREATORS)
    )
    for first in range(0, courses, 5000):
        span = range(first, min(first + 5000, courses))
        made = Course.objects.bulk_create(
            Course(
                kind=Course.Kind.COURSE,
                status=Course.Status.PUBLISHED,
                title=f"第{n}门课：从入门到能独立完成一件作品",
                subtitle="十二讲，讲清楚一件事",
                category=topics[n % TOPICS],
                creator=creators[n % CREATORS],
                tag_names=[f"标签{n % 37}", f"标签{n % 91}"],
                published_at=now - timedelta(days=1 + n % 700),
                lesson_count=12,
                in_membership=n % 3 == 0,
            )
            for n in span
        )
        products = Product.objects.bulk_create(
            Product(
                kind=Product.Kind.COURSE,
                title=course.title,
                scope=f"course:{course.pk}",
                list_fen=19_900,
                price_fen=9_900,
                channels=["jsapi"],
            )
            for course in made
        )
        for course, product in zip(made, products, strict=True):
            course.product = product
        Course.objects.bulk_update(made, ["product"], batch_size=1000)
    return np.fromiter(Course.objects.order_by("pk").values_list("pk", flat=True), np.int64)


def _learners(users: int) -> NDArray[np.int64]:
    from accounts.models import User  # noqa: PLC0415

    for first in range(0, users, 10_000):
        User.objects.bulk_create(
            User(username=f"bench_{n}", nickname=f"学员{n}")  # no password, so no login by one
            for n in range(first, min(first + 10_000, users))
        )
    rows = User.objects.filter(username__startswith="bench_").order_by("pk")
    return np.fromiter(rows.values_list("pk", flat=True), np.int64)


def _interactions(
    courses: NDArray[np.int64], users: NDArray[np.int64], events: int, active: int
) -> None:
    """Two favourite topics a learner, a Zipf tail inside each; the active have 20 to 50 events."""
    from django.db import connection  # noqa: PLC0415

    from kernel import clock  # noqa: PLC0415

    user_rows, course_rows = draw_interactions(len(courses), len(users), events, active)
    rng = np.random.default_rng(2)
    count = len(user_rows)
    kinds = rng.choice(len(KINDS), count, p=SHARES)
    stars = rng.integers(1, 6, count)
    shares = rng.integers(5, 101, count)
    ago = np.sort(rng.integers(60, DAYS * 86_400, count))[::-1]
    moments = np.datetime_as_string(
        (int(clock.timestamp()) - ago).astype("datetime64[s]"), timezone="UTC"
    )
    columns = "user_id, course_id, type, value, query, occurred_at, received_at, origin, counted"
    with connection.cursor() as cursor:
        with cursor.cursor.copy(f"COPY feedback_event ({columns}) FROM STDIN") as copy:
            for n in range(count):
                kind = KINDS[kinds[n]]
                value = {"rating": str(stars[n]), "play": str(shares[n])}.get(kind, "\\N")
                at = moments[n]
                copy.write(
                    f"{users[user_rows[n]]}\t{courses[course_rows[n]]}\t{kind}\t{value}\t\t"
                    f"{at}\t{at}\timport\tt\n"
                )
        cursor.execute("ANALYZE")


def draw_interactions(
    courses: int, users: int, events: int, active: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows [n] of users and courses, one per pair, in no order; about `events` of them."""
    rng = np.random.default_rng(1)
    lengths = np.zeros(users, np.int64)
    lengths[:active] = rng.integers(FEWEST, MOST + 1, active)
    left = max(0, events - int(lengths.sum()))
    if users > active:
        lengths[active:] = rng.geometric(1 / (left / (users - active) + 1), users - active) - 1
    user_rows = np.repeat(np.arange(users), lengths)
    topics = min(TOPICS, courses)
    favourites = rng.integers(0, topics, (users, 2))
    own = favourites[user_rows, rng.integers(0, 2, len(user_rows))]
    anything = rng.random(len(user_rows)) < 0.2
    topic = np.where(anything, rng.integers(0, topics, len(user_rows)), own)
    size = courses // topics
    place = np.minimum(rng.zipf(1.3, len(user_rows)) - 1, rng.integers(0, size, len(user_rows)))
    pairs = np.unique(user_rows * np.int64(courses) + place * topics + topic)
    pairs = pairs[rng.permutation(len(pairs))]
    return pairs // courses, pairs % courses


def _figures() -> None:
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE content_course c SET learner_count = e.learners, hot_score = e.learners,
                rating_sum = e.stars, rating_count = e.ratings
            FROM (SELECT course_id, count(DISTINCT user_id) AS learners,
                    COALESCE(sum(value) FILTER (WHERE type = 'rating'), 0) AS stars,
                    count(*) FILTER (WHERE type = 'rating') AS ratings
                FROM feedback_event GROUP BY course_id) e
            WHERE e.course_id = c.id
            """
        )
        cursor.execute("ANALYZE")


def tokens_for(user_ids: NDArray[np.int64]) -> list[str]:
    """One living access token per user, as a login would have left it."""
    from accounts.models import AccessToken, TokenFamily  # noqa: PLC0415
    from kernel import clock  # noqa: PLC0415
    from kernel.ids import new_token, token_hash  # noqa: PLC0415

    until = clock.now() + timedelta(days=365)
    families = TokenFamily.objects.bulk_create(TokenFamily(user_id=int(user)) for user in user_ids)
    tokens = [new_token() for _ in families]
    AccessToken.objects.bulk_create(
        AccessToken(hash=token_hash(token), family=family, expires_at=until)
        for token, family in zip(tokens, families, strict=True)
    )
    return tokens


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.bench.seeding", description=__doc__)
    for name in ("courses", "users", "events", "tokens"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--existing", action="store_true", help="tokens for who is there, no more")
    parser.add_argument("--out", type=Path, required=True)
    told = parser.parse_args()
    django.setup()
    if told.existing:
        from accounts.models import User  # noqa: PLC0415

        rows = User.objects.filter(is_staff=False).order_by("pk")[: told.tokens]
        tokens = tokens_for(np.fromiter(rows.values_list("pk", flat=True), np.int64))
    else:
        tokens = seed(
            courses=told.courses, users=told.users, events=told.events, tokens=told.tokens
        )
    told.out.write_text("\n".join(tokens), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
