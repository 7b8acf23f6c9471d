"""Batches of events: what is kept, what is a duplicate, what is refused and why."""

from datetime import UTC, datetime, timedelta

import pytest

from content.services import course_move
from feedback.event_rules import Refused, clean
from feedback.models import Event
from feedback.selectors import recent_interactions, training_events
from feedback.services import ImportedEvent, bulk_import_events, fact_note
from kernel import clock
from tests.content.shop import make_course

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def event(number: int, course_id: object = None, **fields):
    made = {
        "client_event_id": f"e{number}",
        "type": "click",
        "course_id": course_id,
        "occurred_at": clock.now().isoformat(),
    }
    return {**made, **fields}


def send(client, *events):
    reply = client.post("/api/v1/events", {"events": list(events)})
    assert reply.status_code == 202, reply.content
    return reply.json()


def test_events_are_kept_once_per_user(learner, api_for):
    course = make_course()
    one, other = learner(), learner()
    batch = [event(1, str(course.pk)), event(2, course.pk), event(2, course.pk)]

    first = send(api_for(one), *batch)
    again = send(api_for(one), *batch, event(3, course.pk))
    others = send(api_for(other), *batch)

    assert first == {"accepted": 2, "duplicate": 1, "rejected": []}
    assert again == {"accepted": 1, "duplicate": 3, "rejected": []}
    assert others["accepted"] == 2
    assert Event.objects.filter(user=one).count() == 3


def test_all_fields_are_kept(learner, api_for):
    course = make_course()
    lesson = course.lessons.first()
    user = learner()
    sent = event(
        1,
        course.pk,
        type="play",
        lesson_id=str(lesson.pk),
        request_id="6f1f4a3e-9d43-4c3b-8a57-3f2f64f6c0a1",
        position=3,
        value=42.5,
    )

    send(api_for(user), sent)

    row = Event.objects.get()
    assert (row.type, row.course_id, row.lesson_id) == ("play", course.pk, lesson.pk)
    assert str(row.request_id) == sent["request_id"]
    assert (row.position, row.value, row.origin, row.counted) == (3, 42.5, "app", True)
    assert row.occurred_at.isoformat() == sent["occurred_at"]


def test_a_search_needs_a_query_and_no_course(learner, api_for):
    reply = send(
        api_for(learner()),
        event(1, type="search", query=" 复盘 "),
        event(2, type="search"),
    )

    assert reply["rejected"] == [{"client_event_id": "e2", "code": "query_invalid"}]
    assert Event.objects.get().query == "复盘"


def test_bad_events_are_named_and_spoil_nothing(learner, api_for):
    course, other, draft = make_course(), make_course(), make_course(status="draft")
    foreign = other.lessons.first().pk
    now = clock.now()
    ok = course.pk
    cases = [
        (event(1, ok, type="rating"), "e1", "type_unknown"),
        (event(2, ok, type=7), "e2", "type_unknown"),
        (event(3, 999999), "e3", "course_not_found"),
        (event(4, "9" * 30), "e4", "course_not_found"),
        (event(5), "e5", "course_not_found"),
        (event(6, draft.pk), "e6", "course_not_found"),
        (event(7, ok, lesson_id=foreign), "e7", "lesson_not_found"),
        (event(8, ok, request_id="x"), "e8", "request_id_invalid"),
        (event(9, ok, position=-1), "e9", "position_invalid"),
        (event(10, ok, position=True), "e10", "position_invalid"),
        (event(11, ok, value="1"), "e11", "value_invalid"),
        (event(12, ok, value=1e9), "e12", "value_invalid"),
        (event(13, ok, occurred_at="gestern"), "e13", "occurred_at_invalid"),
        (event(14, ok, occurred_at="2026-01-01T00:00:00"), "e14", "occurred_at_invalid"),
        (event(15, ok, occurred_at=(now + timedelta(minutes=6)).isoformat()), "e15",
         "occurred_at_future"),
        (event(16, ok, occurred_at=(now - timedelta(days=31)).isoformat()), "e16",
         "occurred_at_too_old"),
        (event(17, ok, client_event_id="server:rating:1"), None, "client_event_id_invalid"),
        (event(18, ok, client_event_id=""), None, "client_event_id_invalid"),
        (event(19, ok, client_event_id="x" * 65), None, "client_event_id_invalid"),
        ("text", None, "event_invalid"),
        (None, None, "event_invalid"),
        ([[]], None, "event_invalid"),
        ({}, None, "client_event_id_invalid"),
    ]  # fmt: skip

    reply = send(api_for(learner()), event(0, ok), *(case[0] for case in cases))

    assert reply["accepted"] == 1
    refused = [(row["client_event_id"], row["code"]) for row in reply["rejected"]]
    assert sorted(refused, key=str) == sorted(((c[1], c[2]) for c in cases), key=str)


@pytest.mark.parametrize("events", [None, "x", {}, 1, [{}] * 101])
def test_a_batch_that_is_no_list_of_100_is_refused(learner, api_for, events):
    reply = api_for(learner()).post("/api/v1/events", {"events": events})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_input")


def test_an_empty_batch_is_accepted(learner, api_for):
    assert send(api_for(learner())) == {"accepted": 0, "duplicate": 0, "rejected": []}


def test_withdrawn_courses_still_take_events(learner, api_for):
    course = make_course()
    course_move(course_id=course.pk, to="withdrawn")

    assert send(api_for(learner()), event(1, course.pk))["accepted"] == 1


def test_a_clock_five_minutes_ahead_counts_as_now():
    sent = {"client_event_id": "a", "type": "view", "course_id": "1"}

    ahead = clean({**sent, "occurred_at": "2026-01-02T20:05:00+08:00"}, now=NOW)

    assert ahead.occurred_at == NOW
    with pytest.raises(Refused, match="occurred_at_future"):
        clean({**sent, "occurred_at": "2026-01-02T20:05:01+08:00"}, now=NOW)


def test_the_number_of_queries_does_not_depend_on_the_batch(
    learner, api_for, django_assert_num_queries
):
    courses = [make_course() for _ in range(4)]
    client = api_for(learner())
    batch = [
        event(n, courses[n % 4].pk, lesson_id=courses[n % 4].lessons.first().pk) for n in range(100)
    ]

    # token, courses, lessons, insert within its transaction (savepoint and release in tests)
    with django_assert_num_queries(6):
        assert send(client, *batch)["accepted"] == 100


def test_recent_interactions_are_newest_first_without_impressions(
    learner, django_assert_num_queries
):
    user, course, other = learner(), make_course(), make_course()
    for minute, (kind, target) in enumerate(
        [("view", course), ("impression", course), ("play", other), ("search", None)]
    ):
        Event.objects.create(
            user=user,
            type=kind,
            course=target,
            value=minute,
            occurred_at=NOW + timedelta(minutes=minute),
        )

    with django_assert_num_queries(1):
        rows = recent_interactions(user.pk)

    assert rows == [
        (other.pk, "play", 2.0, NOW + timedelta(minutes=2)),
        (course.pk, "view", 0.0, NOW),
    ]
    assert recent_interactions(user.pk, limit=1) == rows[:1]


def test_a_fact_noted_again_is_one_row_with_the_newest_word(learner):
    user, course = learner(), make_course()
    for value in (20, 70):
        fact_note(key="play:1", user_id=user.pk, type="play", course_id=course.pk, value=value)
    fact_note(key="r", user_id=user.pk, type="rating", course_id=course.pk, value=5, counted=False)

    assert [row[1:3] for row in recent_interactions(user.pk)] == [("rating", 5.0), ("play", 70.0)]
    assert [row.type for row in training_events()] == ["play"]


def test_imported_events_are_kept_once_and_make_the_figures(learner):
    a, b = learner(), learner()
    course, other = make_course(), make_course()
    rows = [
        ImportedEvent(a.pk, course.pk, "rating", 4.5, NOW),
        ImportedEvent(a.pk, course.pk, "rating", 2.0, NOW - timedelta(days=1)),  # an older word
        ImportedEvent(b.pk, course.pk, "rating", 0.5, NOW),
        ImportedEvent(b.pk, other.pk, "view"),
        ImportedEvent(b.pk, other.pk, "impression"),
    ]

    assert bulk_import_events(rows) == 5
    assert bulk_import_events(rows) == 0

    course.refresh_from_db()
    other.refresh_from_db()
    assert (course.rating_sum, course.rating_count, course.learner_count) == (5.0, 2, 2)
    assert (other.rating_count, other.learner_count) == (0, 1)
    assert Event.objects.filter(origin="import").count() == 5
