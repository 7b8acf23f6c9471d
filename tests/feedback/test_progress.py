"""Watched intervals over HTTP, bounded by the server's clock."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from django.db import connection

from content.models import Course
from feedback.events import CourseFinished
from feedback.models import CourseProgress, Event, LessonProgress, ProgressSession
from kernel.models import OutboxRow
from kernel.outbox import subscribe
from tests.builders import client_for, make_learner
from tests.content.shop import make_course

_seq = count(1)


def seen(event: CourseFinished) -> None:
    """Makes rows that the tests count."""


subscribe(CourseFinished, f"{__name__}.seen", name="tests.course_finished")


@pytest.fixture
def room(db):
    """(client, lesson, path of its progress, user): a free course of two lessons of 100 s."""
    user = make_learner()
    course = make_course(price_fen=0)
    client = client_for(user)
    lesson = course.lessons.first()
    return client, lesson, f"/api/v1/lessons/{lesson.pk}/progress", user


def beat(client, path, *pairs, session="s", seq=None, **fields):
    body = {"session_id": session, "seq": next(_seq) if seq is None else seq, "intervals": pairs}
    reply = client.post(path, {**body, **fields})
    assert reply.status_code == 200, reply.content
    return reply.json()


def opened(client, lesson) -> dict:
    reply = client.get(f"/api/v1/lessons/{lesson.pk}")
    assert reply.status_code == 200
    return reply.json()


def test_the_union_counts_seconds_once(room):
    client, lesson, path, _user = room
    opened(client, lesson)

    beat(client, path, [0, 5], [3, 8])
    reply = beat(client, path, [8, 10], [2, 4], position_seconds=10)

    assert reply == {
        "watched_seconds": 10, "position_seconds": 10, "percent": 10, "finished": False,
    }  # fmt: skip
    assert LessonProgress.objects.get().intervals == [(0, 10)]


def test_right_after_opening_15_seconds_count_and_no_more(room):
    client, lesson, path, _user = room
    opened(client, lesson)

    assert beat(client, path, [0, 100])["watched_seconds"] in {15, 16, 17}  # + the real time


def test_time_that_passed_counts_at_the_speed_of_play(room, forward):
    client, lesson, path, _user = room
    opened(client, lesson)
    beat(client, path, [0, 15])
    forward(20)
    one = beat(client, path, [0, 60])["watched_seconds"]
    forward(10)
    two = beat(client, path, [0, 100], rate=2)["watched_seconds"]

    assert 35 <= one <= 38  # 15 + 20
    assert 55 <= two <= 61  # + 10 × 2


def test_the_speed_counts_three_times_at_most(room, forward):
    client, lesson, path, _user = room
    opened(client, lesson)
    beat(client, path, [0, 15])
    forward(20)

    assert 75 <= beat(client, path, [0, 100], rate=16)["watched_seconds"] <= 84  # 15 + 20 × 3


def test_many_reports_from_many_devices_gain_nothing(room):
    client, lesson, path, _user = room
    opened(client, lesson)

    for number in range(12):
        reply = beat(client, path, [0, 100], session=f"device{number}", rate=1)

    assert 15 <= reply["watched_seconds"] <= 20  # 15 and the real seconds of twelve calls


def test_opening_again_and_again_gains_nothing(room):
    client, lesson, path, _user = room
    for _time in range(8):
        opened(client, lesson)
        reply = beat(client, path, [0, 100])

    assert reply["watched_seconds"] <= 20


def test_opening_elsewhere_forgives_up_to_15_unreported_seconds(room, forward):
    client, lesson, path, _user = room
    opened(client, lesson)
    beat(client, path, [0, 15])
    forward(10)
    opened(client, lesson)
    forward(5)

    assert 30 <= beat(client, path, [0, 100])["watched_seconds"] <= 33  # 15 + 10 + 5


def test_a_heartbeat_without_opening_starts_the_clock(room):
    client, _lesson, path, _user = room

    assert 15 <= beat(client, path, [0, 100])["watched_seconds"] <= 17


def test_the_same_heartbeat_again_changes_nothing(room, forward):
    client, lesson, path, _user = room
    opened(client, lesson)
    first = beat(client, path, [0, 10], seq=1, position_seconds=10)
    forward(60)
    again = beat(client, path, [0, 60], seq=1, position_seconds=60)
    other_session = beat(client, path, [0, 20], seq=1, session="t", position_seconds=20)

    assert again == first
    assert other_session["watched_seconds"] == 20


def test_a_late_heartbeat_adds_its_seconds_but_does_not_move_the_position(room):
    client, lesson, path, _user = room
    opened(client, lesson)
    beat(client, path, [5, 10], seq=2, position_seconds=10)

    reply = beat(client, path, [0, 5], seq=1, position_seconds=5)

    assert (reply["watched_seconds"], reply["position_seconds"]) == (10, 10)
    assert ProgressSession.objects.get().seqs == [(1, 3)]


def test_seconds_beyond_the_lesson_do_not_count(room, forward):
    client, lesson, path, _user = room
    opened(client, lesson)
    forward(1000)

    reply = beat(client, path, [90, 500], [1e9, 1e9], position_seconds=500)

    assert (reply["watched_seconds"], reply["position_seconds"]) == (10, 100)


def test_fractions_are_rounded_to_the_nearest_second(room):
    client, lesson, path, _user = room
    opened(client, lesson)

    assert beat(client, path, [0, 7.4], [7.4, 12.5])["watched_seconds"] == 13


def test_a_lesson_is_finished_once_at_90_percent(room, forward):
    client, lesson, path, user = room
    opened(client, lesson)
    forward(200)

    assert beat(client, path, [0, 89])["finished"] is False
    assert beat(client, path, [89, 90]) == {
        "watched_seconds": 90, "position_seconds": 90, "percent": 90, "finished": True,
    }  # fmt: skip
    assert beat(client, path, [90, 100])["percent"] == 100

    events = Event.objects.filter(user=user, type="complete")
    assert list(events.values_list("lesson_id", "origin")) == [(lesson.pk, "server")]
    told = OutboxRow.objects.filter(kind="feedback.lesson_finished")
    assert {row.payload["lesson_id"] for row in told} == {lesson.pk}
    assert len({row.handler for row in told}) == told.count()
    assert Event.objects.get(user=user, type="play").value == 100


def test_a_course_is_finished_with_its_last_lesson(room, forward):
    client, lesson, path, user = room
    second = lesson.course.lessons.last()
    for each in (lesson, second):
        opened(client, each)
    forward(200)
    beat(client, path, [0, 100])
    assert not OutboxRow.objects.filter(handler="tests.course_finished").exists()
    beat(client, f"/api/v1/lessons/{second.pk}/progress", [0, 100])

    row = CourseProgress.objects.get(user=user)
    assert (row.watched_seconds, row.lessons_finished) == (200, 2)
    assert row.finished_at is not None
    assert OutboxRow.objects.filter(handler="tests.course_finished").count() == 1


def test_an_article_counts_its_open_seconds_against_its_reading_time(db, forward):
    course = make_course(
        price_fen=0, lessons=[{"key": "a", "title": "文", "content": f"<p>{'字' * 400}</p>"}]
    )
    client, lesson = client_for(make_learner()), course.lessons.get()
    opened(client, lesson)
    forward(45)

    reply = beat(client, f"/api/v1/lessons/{lesson.pk}/progress", [0, 45])

    assert (lesson.duration_seconds, reply["percent"]) == (60, 75)  # 45 of 60 s


def test_opening_makes_a_learner_once(room):
    client, lesson, _path, _user = room
    opened(client, lesson)
    opened(client, lesson.course.lessons.last())
    opened(client_for(make_learner()), lesson)

    assert Course.objects.get().learner_count == 2


def test_progress_needs_access(db):
    course = make_course(price_fen=100)
    paid = course.lessons.last()

    reply = client_for(make_learner()).post(
        f"/api/v1/lessons/{paid.pk}/progress", {"session_id": "s", "seq": 1, "intervals": [[0, 5]]}
    )

    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "access_required")


@pytest.mark.parametrize(
    "wrong",
    [
        {"session_id": ""},
        {"session_id": "a b"},
        {"session_id": "x" * 65},
        {"session_id": "é"},
        {"seq": -1},
        {"seq": 2**31},
        {"seq": "x"},
        {"intervals": "x"},
        {"intervals": [[0]]},
        {"intervals": [[5, 1]]},
        {"intervals": [[-1, 5]]},
        {"intervals": [[0, 1e300]]},
        {"intervals": [["a", "b"]]},
        {"intervals": [None]},
        {"intervals": [["nan", "nan"]]},
        {"intervals": [[0, "inf"]]},
        {"rate": "nan"},
        {"position_seconds": "nan"},
        {"intervals": [[0, 1]] * 201},
        {"rate": 0},
        {"rate": "fast"},
        {"position_seconds": -1},
        {"position_seconds": 1e300},
    ],
)
def test_malformed_heartbeats_are_refused_and_leave_nothing(room, wrong):
    client, _lesson, path, _user = room

    reply = client.post(path, {"session_id": "s", "seq": 1, "intervals": [[0, 5]], **wrong})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_input")
    assert not LessonProgress.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_heartbeats_of_many_devices_at_once_lose_nothing_and_gain_nothing():
    user = make_learner()
    lesson = make_course(price_fen=0).lessons.first()
    path = f"/api/v1/lessons/{lesson.pk}/progress"
    clients = [client_for(user) for _ in range(8)]
    opened(clients[0], lesson)

    def run(number: int) -> None:
        try:
            # One second each, all different, and one greedy report.
            beat(clients[number], path, [number, number + 1], session=f"d{number}", seq=1)
            beat(clients[number], path, [0, 100], session=f"d{number}", seq=2)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))

    progress = LessonProgress.objects.get()
    assert 15 <= progress.watched_seconds <= 30  # 15, and the real seconds the calls took
    assert progress.watched_seconds == sum(b - a for a, b in progress.intervals)
    assert progress.sessions.count() == 8
    assert CourseProgress.objects.get().watched_seconds == progress.watched_seconds


@pytest.mark.django_db(transaction=True)
def test_one_lesson_finished_by_many_devices_at_once_is_told_once(forward):
    user = make_learner()
    lesson = make_course(price_fen=0).lessons.first()
    path = f"/api/v1/lessons/{lesson.pk}/progress"
    clients = [client_for(user) for _ in range(8)]
    opened(clients[0], lesson)
    forward(200)

    def run(number: int) -> bool:
        try:
            return bool(beat(clients[number], path, [0, 100], session=f"d{number}")["finished"])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, range(8)))

    assert CourseProgress.objects.get().lessons_finished == 1
    told = OutboxRow.objects.filter(kind="feedback.lesson_finished")
    assert len({row.handler for row in told}) == told.count()
    assert Event.objects.filter(type="complete").count() == 1
