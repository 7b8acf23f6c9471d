"""Who may read a lesson: free, trial, bought, member, withdrawn."""

from datetime import timedelta

import pytest

from content.selectors import access_to_course, bought_courses, cards, owned_course_ids
from content.services import course_move, course_refresh
from kernel import clock
from payments.services import (
    entitlement_grant,
    entitlement_revoke,
    plan_publish,
    product_publish,
)
from tests.content.shop import make_course


@pytest.fixture
def grant():
    def give(user, scope, ref="1", **fields):
        return entitlement_grant(
            user_id=user.pk, scope=scope, source="operator", source_ref=ref, reason="补发", **fields
        )

    return give


def test_a_paid_lesson_names_what_would_open_it(learner, api_for):
    plan = plan_publish(key="vip", title="年度会员", period="year", price_fen=19900)
    course = make_course(price_fen=1000, in_membership=True)
    trial, paid = course.lessons.all()
    client = api_for(learner())

    assert client.get(f"/api/v1/lessons/{trial.pk}").json()["access"]["source"] == "trial"
    refused = client.get(f"/api/v1/lessons/{paid.pk}")

    assert refused.status_code == 403
    error = refused.json()["error"]
    assert error["code"] == "access_required"
    assert [p["id"] for p in error["detail"]["products"]] == [
        str(course.product_id),
        str(plan.product_id),
    ]
    assert set(error["detail"]["products"][0]) == {
        "id", "title", "kind", "scope", "price_fen", "list_fen", "channels", "promo_until", "group",
    }  # fmt: skip


def test_lessons_need_a_login(db, api_for):
    lesson = make_course().lessons.first()

    assert api_for().get(f"/api/v1/lessons/{lesson.pk}").status_code == 401


def test_a_course_without_product_or_price_is_open_to_everyone_signed_in(learner):
    user = learner()

    assert access_to_course(user, make_course(price_fen=None)).source == "free"
    assert access_to_course(user, make_course(price_fen=0)).source == "free"
    assert not access_to_course(None, make_course(price_fen=0)).granted
    assert owned_course_ids(user.pk) == set()


def test_a_product_made_in_payments_closes_the_course_and_becomes_its_price(learner):
    user, course = learner(), make_course(price_fen=None)
    product_publish(
        scope=course.scope, title="课", kind="course", price_fen=500, list_fen=500,
        channels=["jsapi"],
    )  # fmt: skip

    assert not access_to_course(user, course).granted
    course_refresh(course.pk)
    assert cards([course.pk])[0]["price_fen"] == 500


def test_a_membership_opens_what_it_covers_until_it_ends(learner, grant):
    user = learner()
    inside, outside = make_course(in_membership=True), make_course()
    until = clock.now() + timedelta(days=1)
    grant(user, "membership:vip", valid_until=until)

    access = access_to_course(user, inside)

    assert (access.granted, access.membership, access.valid_until) == (True, True, until)
    assert not access_to_course(user, outside).granted
    assert owned_course_ids(user.pk) == {inside.pk}
    assert bought_courses(user.pk) == []
    entitlement_revoke(source="operator", source_ref="1")
    assert not access_to_course(user, inside).granted


def test_an_owner_keeps_a_withdrawn_course_a_member_does_not(learner, api_for, grant):
    owner, member, other = learner(), learner(), learner()
    course = make_course(in_membership=True)
    trial, paid = course.lessons.all()
    grant(owner, course.scope)
    grant(member, "membership:vip", ref="2")
    course_move(course_id=course.pk, to="withdrawn")

    def status(user, lesson) -> int:
        return api_for(user).get(f"/api/v1/lessons/{lesson.pk}").status_code

    assert status(owner, paid) == 200
    assert status(member, paid) == 404
    assert status(other, trial) == 404
    assert owned_course_ids(member.pk) == set()


def test_a_draft_is_hidden_even_from_one_who_is_entitled(learner, api_for, grant):
    user = learner()
    course = make_course(status="draft")
    grant(user, course.scope)

    lesson = course.lessons.first()
    assert api_for(user).get(f"/api/v1/lessons/{lesson.pk}").status_code == 404


def test_bought_courses_come_newest_right_first_and_once(learner, grant):
    user = learner()
    a, b = make_course(), make_course()
    grant(user, a.scope, ref="1")
    second = grant(user, b.scope, ref="2")
    third = grant(user, a.scope, ref="3")

    assert bought_courses(user.pk) == [(third.pk, a.pk), (second.pk, b.pk)]


def test_owned_courses_cost_two_queries_at_most(learner, grant, django_assert_num_queries):
    user = learner()
    grant(user, make_course().scope)
    with django_assert_num_queries(1):
        owned_course_ids(user.pk)

    grant(user, "membership:vip", ref="2")
    with django_assert_num_queries(2):
        owned_course_ids(user.pk)
