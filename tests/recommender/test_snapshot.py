"""The snapshot: what the tables really hold goes through the cleaning into columns."""

import tracemalloc
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction

from content.models import Lesson
from feedback.models import Event, LessonProgress
from kernel import clock
from recommender.core.matrix import MatrixConfig, pair_weights
from recommender.dataset import CHUNK, chunks, columns, snapshot
from recommender.models import TagDeletion

pytestmark = pytest.mark.django_db


def weights_of(interactions, user):
    """{course id: weight} of one learner."""
    row = interactions.users.row(str(user.pk))
    if row < 0:
        return {}
    history = interactions.history(row)
    ids = interactions.items.ids(history.rows)
    return {int(i): float(w) for i, w in zip(ids, history.weights, strict=True)}


def lesson_of(course, seconds=600):
    lesson = Lesson.objects.create(course=course, title="第一课", duration_seconds=seconds)
    type(course).objects.filter(pk=course.pk).update(lesson_count=1)
    return lesson


def watched(user, lesson, percent):
    at = clock.now()
    return LessonProgress.objects.create(
        user=user, course_id=lesson.course_id, lesson=lesson, opened_at=at, clock_at=at,
        credit_ms=0, percent=percent,
    )  # fmt: skip


def many(user, course, count):
    Event.objects.bulk_create(
        [
            Event(
                user=user, course=course, type="view", origin="server",
                occurred_at=clock.now() - timedelta(minutes=n),
            )
            for n in range(count)
        ],
        batch_size=5000,
    )  # fmt: skip


def test_rows_wait_in_a_cursor_of_the_server(shop, learner):
    many(learner(), shop[0], CHUNK + 5)

    with transaction.atomic():
        reading = chunks()
        first = next(reading)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors WHERE statement LIKE '%%UNION ALL%%'")
            (open_cursors,) = cursor.fetchone()
        rest = [len(rows) for rows in reading]

    assert (len(first), rest, open_cursors) == (CHUNK, [5], 1)


def test_memory_holds_columns_and_one_chunk():
    row = (1, 1, 0, None, 1e9, True, False, None)

    def of(parts):
        tracemalloc.start()
        log = columns([row] * CHUNK for _ in range(parts))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return len(log), peak

    (few, low), (lot, high) = of(2), of(8)
    # 35 bytes a row in eight columns, twice while they are joined
    assert (few, lot) == (2 * CHUNK, 8 * CHUNK)
    assert high - low < 6 * CHUNK * 80


def test_what_the_server_saw_watched_is_the_strongest_label(shop, learner):
    user = learner()
    watched(user, lesson_of(shop[0]), 100)
    watched(user, lesson_of(shop[1]), 50)
    for n, kind in enumerate(("purchase", "favourite", "complete", "play", "view", "share")):
        shop.act(user, 2 + n, kind)

    weights = weights_of(snapshot()[0], user)

    whole = weights.pop(shop[0].pk)
    assert whole == pytest.approx(0.8 * 2 / 3 / 0.4)  # weight 2: .8 * 2 / (2 + 1)
    assert weights[shop[1].pk] == pytest.approx(1.0)  # half of it watched: weight 1
    assert max(weights.values()) < whole


def test_courses_of_a_deleted_tag_stay_out_with_all_they_say(shop, learner):
    user, other = learner(), learner()
    for one in (user, other):
        shop.act(one, 0, "favourite")  # 进阶, 摄影
        watched(one, lesson_of(shop[2]) if one is user else shop[2].lessons.get(), 80)
        shop.act(one, 1, "purchase")  # 入门, 摄影
        shop.act(one, 11, "rating", 5)  # 入门, 编程
    TagDeletion.objects.create(user=user, tag="进阶")

    interactions, _ = snapshot()
    assert set(weights_of(interactions, user)) == {shop[1].pk, shop[11].pk}
    assert len(weights_of(interactions, other)) == 4

    TagDeletion.objects.create(user=user, tag="摄影")  # a category goes by its name
    interactions, _ = snapshot()
    assert set(weights_of(interactions, user)) == {shop[11].pk}


def test_a_claim_that_time_did_not_allow_is_left_out(shop, learner):
    user = learner()
    lesson = lesson_of(shop[0], seconds=3600)
    shop.act(user, 0, "view", ago=10)  # ten minutes at three times the speed are half an hour
    for ago, percent in ((5, 20), (0, 100)):
        Event.objects.create(
            user=user, client_event_id=uuid.uuid4().hex, type="play", course=shop[0],
            lesson=lesson, value=percent, origin="app",
            occurred_at=clock.now() - timedelta(minutes=ago),
        )  # fmt: skip

    _, cleaning = snapshot()

    assert cleaning.left_out == {"impossible_dwell": 1}
    assert cleaning.report.users == {"impossible_dwell": 1}
    assert Event.objects.count() == 3  # nothing is deleted


def test_thresholds_and_the_matrix_are_settings(shop, learner, settings):
    user = learner()
    for _ in range(6):
        Event.objects.filter(pk=shop.act(user, 0, "view").pk).update(origin="app")
    shop.act(user, 1, "purchase")
    settings.KPAY = replace(
        settings.KPAY,
        cleaning={"burst_events": 5, "repeat_seconds": 0},
        matrix={"purchase": 4.0, "alpha": 1.0, "beta": 0.0},
    )

    interactions, cleaning = snapshot({"saturation": 4.0})

    assert cleaning.left_out == {"burst": 6}
    assert weights_of(interactions, user) == pytest.approx({shop[1].pk: (4 / 8) / (1 / 5)})


def test_serving_weighs_a_history_as_training_did(shop, learner):
    user = learner()
    acts = (("view", None), ("play", 40.0), ("rating", 4.0), ("purchase", None))
    for kind, value in acts:
        shop.act(user, 3, kind, value)
    events = [(kind, value, 1e9) for kind, value in acts]

    trained = weights_of(snapshot()[0], user)[shop[3].pk]

    assert pair_weights([events], 1e9, MatrixConfig())[0] == pytest.approx(trained)


def test_a_number_that_no_scale_has_spoils_no_training(shop, learner):
    user = learner()
    shop.act(user, 0, "purchase", 1e300)
    shop.act(user, 1, "rating", 1e300)
    shop.act(user, 2, "view")

    interactions, cleaning = snapshot()

    assert set(weights_of(interactions, user)) == {shop[0].pk, shop[2].pk}
    assert cleaning.left_out == {"impossible_value": 1}
