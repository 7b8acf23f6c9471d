"""Ratings, favourites, purchases, the learner's own lists, heat."""

from datetime import timedelta

import pytest

from content.models import Course
from content.services import course_move
from feedback.models import CourseHide, CourseProgress, Event, Favourite, Rating
from feedback.selectors import hidden_course_ids, recent_interactions
from feedback.services import courses_bought, hide_course, hot_scores_refresh
from kernel import clock
from payments.services import entitlement_grant
from tests.content.shop import make_course, make_creator


def rate(client, course, stars):
    return client.put(f"/api/v1/courses/{course.pk}/rating", {"stars": stars})


def watch(user, course, seconds):
    CourseProgress.objects.update_or_create(
        user=user, course=course, defaults={"watched_seconds": seconds}
    )


def public(course) -> tuple[float, int]:
    return Course.objects.values_list("rating_sum", "rating_count").get(pk=course.pk)


def test_a_rating_before_the_share_shapes_the_own_feed_only(learner, api_for):
    user, course = learner(), make_course()  # 200 s long: 60 s are 30 %
    watch(user, course, 59)

    reply = rate(api_for(user), course, 5)

    assert reply.json() == {"stars": 5, "counted": False, "rating": {"mean": None, "count": 0}}
    assert [row[:3] for row in recent_interactions(user.pk)] == [(course.pk, "rating", 5.0)]
    assert Event.objects.get().counted is False
    assert public(course) == (0, 0)


def test_it_counts_from_the_heartbeat_that_reaches_the_share(learner, api_for, forward):
    user, course = learner(), make_course(price_fen=0)
    client, lesson = api_for(user), course.lessons.first()
    rate(client, course, 4)
    client.get(f"/api/v1/lessons/{lesson.pk}")
    forward(100)
    path = f"/api/v1/lessons/{lesson.pk}/progress"
    client.post(path, {"session_id": "s", "seq": 1, "intervals": [[0, 59]]})
    assert public(course) == (0, 0)
    client.post(path, {"session_id": "s", "seq": 2, "intervals": [[59, 60]]})

    assert public(course) == (4, 1)
    assert Event.objects.get(type="rating").counted is True


def test_a_changed_rating_moves_the_mean_and_a_withdrawn_one_leaves_it(learner, api_for):
    a, b, course = learner(), learner(), make_course()
    for user in (a, b):
        watch(user, course, 100)
    rate(api_for(b), course, 5)

    rate(api_for(a), course, 2)
    changed = rate(api_for(a), course, 4).json()
    assert changed["rating"] == {"mean": 4.5, "count": 2}

    for _twice in range(2):
        assert api_for(a).delete(f"/api/v1/courses/{course.pk}/rating").status_code == 204
    assert public(course) == (5, 1)
    assert recent_interactions(a.pk) == []
    assert Rating.objects.count() == 1


def test_a_creators_own_stars_never_count(learner, api_for):
    user = learner()
    creator = make_creator(user_id=user.pk)
    course = make_course(creator=creator.key)
    watch(user, course, 200)

    assert rate(api_for(user), course, 5).json()["counted"] is False
    assert public(course) == (0, 0)


@pytest.mark.parametrize("stars", [0, 6, 2.5, "x", None, 10**30])
def test_stars_are_one_to_five(learner, api_for, stars):
    course = make_course()

    assert rate(api_for(learner()), course, stars).status_code == 400
    assert not Rating.objects.exists()


def test_unknown_and_withdrawn_courses_take_no_rating_or_favourite(learner, api_for):
    client = api_for(learner())
    gone = make_course()
    course_move(course_id=gone.pk, to="withdrawn")

    for pk in (0, gone.pk):
        assert client.put(f"/api/v1/courses/{pk}/rating", {"stars": 5}).status_code == 404
        assert client.put(f"/api/v1/courses/{pk}/favourite").status_code == 404


def test_favourites_are_kept_once_listed_newest_first_and_forgotten(learner, api_for):
    user, a, b = learner(), make_course("甲"), make_course("乙")
    client = api_for(user)
    for course in (a, b, a):
        assert client.put(f"/api/v1/courses/{course.pk}/favourite").json() == {"favourite": True}

    listed = client.get("/api/v1/me/favourites").json()["items"]
    assert [item["title"] for item in listed] == ["乙", "甲"]
    assert {row[1] for row in recent_interactions(user.pk)} == {"favourite"}

    client.delete(f"/api/v1/courses/{b.pk}/favourite")
    course_move(course_id=a.pk, to="withdrawn")
    assert client.get("/api/v1/me/favourites").json()["items"] == []
    assert Favourite.objects.count() == 1
    assert Event.objects.filter(type="favourite").count() == 1


def test_a_purchase_is_an_interaction_and_makes_a_learner_once(learner):
    user, a, b = learner(), make_course(), make_course()
    for _delivered_twice in range(2):
        courses_bought(user_id=user.pk, course_ids=[a.pk, b.pk], order_no="N1", at=clock.now())

    assert sorted(row[:2] for row in recent_interactions(user.pk)) == [
        (a.pk, "purchase"),
        (b.pk, "purchase"),
    ]
    assert list(Course.objects.values_list("learner_count", flat=True)) == [1, 1]


def test_my_courses_are_bought_ones_with_progress(learner, api_for):
    user = learner()
    courses = [make_course(f"课{n}") for n in range(3)]
    for number, course in enumerate(courses):
        entitlement_grant(
            user_id=user.pk, scope=course.scope, source="operator",
            source_ref=str(number), reason="补发",
        )  # fmt: skip
    watch(user, courses[2], 50)
    course_move(course_id=courses[1].pk, to="withdrawn")
    client = api_for(user)

    first = client.get("/api/v1/me/courses", {"limit": 2}).json()
    second = client.get("/api/v1/me/courses", {"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [item["title"] for item in first["items"]] == ["课2", "课1"]
    assert [item["title"] for item in second["items"]] == ["课0"]
    assert second["next_cursor"] is None
    assert first["items"][0]["progress"] == {
        "percent": 25, "lessons_finished": 0, "finished": False, "last_at": None,
    }  # fmt: skip
    assert all(item["owned"] for item in first["items"])
    assert client.get("/api/v1/me/courses", {"cursor": "xx"}).status_code == 400


def test_continue_lists_what_was_begun_and_where_it_stopped(learner, api_for, forward):
    user = learner()
    client = api_for(user)
    first, second = make_course("先", price_fen=0), make_course("后", price_fen=0)
    make_course("未开始", price_fen=0)
    for course in (first, second):
        client.get(f"/api/v1/lessons/{course.lessons.first().pk}")
        forward(30)
    lesson = first.lessons.last()
    client.get(f"/api/v1/lessons/{lesson.pk}")
    client.post(
        f"/api/v1/lessons/{lesson.pk}/progress",
        {"session_id": "s", "seq": 1, "intervals": [[0, 10]], "position_seconds": 10},
    )

    items = client.get("/api/v1/me/continue").json()["items"]

    assert [item["course"]["title"] for item in items] == ["先", "后"]
    assert items[0]["lesson"] == {"id": str(lesson.pk), "title": "正课"}
    assert (items[0]["position_seconds"], items[0]["percent"]) == (10, 5)  # 10 of 200 s


def test_a_finished_course_is_not_continued(learner, api_for):
    user, course = learner(), make_course(price_fen=0)
    api_for(user).get(f"/api/v1/lessons/{course.lessons.first().pk}")
    CourseProgress.objects.update(finished_at=clock.now())

    assert api_for(user).get("/api/v1/me/continue").json()["items"] == []


def test_hidden_courses_hold_the_last_word(learner):
    user, course = learner(), make_course()
    hide_course(user_id=user.pk, course_id=course.pk, action="not_interested")
    hide_course(user_id=user.pk, course_id=course.pk, action="less_like_this")
    assert CourseHide.objects.get().action == "less_like_this"
    assert hidden_course_ids(user.pk) == {course.pk}

    hide_course(user_id=user.pk, course_id=course.pk, action="undo")
    assert hidden_course_ids(user.pk) == set()


def test_heat_halves_each_week_and_one_learner_counts_once(learner):
    a, b, course = learner(), learner(), make_course()
    quiet = make_course()
    now = clock.now()

    def happened(user, kind, days):
        Event.objects.create(
            user=user, course=course, type=kind, occurred_at=now - timedelta(days=days)
        )

    for _click in range(50):
        happened(a, "click", 0)
    happened(b, "purchase", 7)
    happened(b, "purchase", 40)  # too old to matter
    Course.objects.filter(pk=quiet.pk).update(learner_count=9)

    assert hot_scores_refresh() == 2

    heat = dict(Course.objects.values_list("pk", "hot_score"))
    assert heat[course.pk] == pytest.approx(1 + 5 / 2, abs=0.01)
    assert heat[quiet.pk] == pytest.approx(2.3026, abs=0.001)  # ln 10
    assert hot_scores_refresh() <= 1
