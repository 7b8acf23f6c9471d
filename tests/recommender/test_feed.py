"""GET /feed: personal at once, honest about why, and never with what it must not show."""

import uuid
from datetime import timedelta

import numpy as np
import pytest

from content.models import Course
from feedback.models import CourseHide, Event
from kernel import clock
from payments.services.entitlements import entitlement_grant
from recommender.models import FeedRequest, FeedRule
from recommender.services.feedback import feeds_forget
from recommender.serving.feed import first_page, read_scene
from recommender.serving.holder import holder
from tests.recommender.conftest import ids

pytestmark = pytest.mark.django_db


def feed(client, **query):
    reply = client.get("/api/v1/feed", query)
    assert reply.status_code == 200, reply.content
    return reply.json()


def test_a_new_learner_gets_the_popular_courses_first(shop, learner, api_for):
    page = feed(api_for(learner()), limit=3)

    assert ids(page) == [shop[0].pk, shop[1].pk, shop[2].pk]
    assert page["model"] == {"name": "popular", "version": ""}
    assert page["personalised"] is True
    assert [item["reason"]["code"] for item in page["items"]] == ["popular"] * 3
    assert [item["position"] for item in page["items"]] == [1, 2, 3]


def test_without_popularity_the_newest_courses_come_first(shop, learner, api_for):
    Course.objects.update(hot_score=0, learner_count=0)

    page = feed(api_for(learner()), limit=2)

    assert ids(page) == [shop[0].pk, shop[1].pk]  # published last
    assert page["model"]["name"] == "newest"


def test_an_empty_shop_gives_an_empty_feed(db, learner, api_for):
    page = feed(api_for(learner()))

    assert page["items"] == []
    assert page["next_cursor"] is None


def test_declared_interests_come_first_for_a_new_learner(shop, learner, api_for):
    user = learner(interests=["code"])

    page = feed(api_for(user), limit=5)

    assert all(item["course"]["category"]["name"] == "编程" for item in page["items"])
    assert page["items"][0]["reason"] == {
        "code": "interest",
        "text": "符合你选择的兴趣“编程”",
        "because": [],
    }


def test_a_rating_turns_the_next_feed_to_its_taste(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")
    user = learner()
    client = api_for(user)
    before = ids(feed(client, limit=10))

    for n in (12, 14, 16):
        shop.act(user, n, "rating", 5)
    after = feed(client, limit=5)

    assert set(ids(after)) <= {course.pk for course in shop.courses[10:]}
    assert not {shop[12].pk, shop[14].pk, shop[16].pk} & set(ids(after))
    assert len(set(before) - set(ids(feed(client, limit=10)))) >= 5
    assert after["model"] == {"name": "ials", "version": "v1"}


def test_the_reason_names_what_the_learner_did(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")
    user = learner()
    shop.act(user, 13, "rating", 4.5)

    reason = feed(api_for(user), limit=1)["items"][0]["reason"]

    assert reason["code"] == "because_you_liked"
    assert reason["because"] == [str(shop[13].pk)]
    assert reason["text"] == "因为你给《课程13》打了4.5星"


def test_the_named_course_is_the_largest_exact_part_of_the_score(shop, learner, serve):
    shop.crowd()
    serve("ials")
    user = learner()
    for n in (11, 15, 2):
        shop.act(user, n, "favourite", ago=20 - n)

    page = first_page(user, surface="home", limit=5)
    scene = read_scene(user)
    model = scene.loaded.model
    rows = scene.loaded.rows(np.array([int(one.card["id"]) for one in page.shown]))
    shares = model.contributions(scene.history, rows)

    np.testing.assert_allclose(
        shares.sum(axis=1), model.score_one(scene.history)[rows], rtol=1e-3, atol=1e-4
    )
    for one, share in zip(page.shown, shares, strict=True):
        largest = scene.state.liked[int(share.argmax())].past.course_id
        assert one.reason.because[0] == largest


def test_a_low_rating_is_never_a_like(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")
    user = learner()
    shop.act(user, 12, "rating", 1)
    shop.act(user, 13, "favourite")
    shop.act(user, 13, "rating", 2)

    page = feed(api_for(user), limit=20)

    assert read_scene(user).state.liked == []
    assert not {shop[12].pk, shop[13].pk} & set(ids(page))
    assert all(item["reason"]["code"] != "because_you_liked" for item in page["items"])
    assert page["items"][0]["course"]["category"]["name"] == "摄影"


def test_the_switch_turns_the_feed_impersonal_at_the_next_call(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")
    user = learner()
    for n in (12, 14, 16):
        shop.act(user, n, "rating", 5)
    client = api_for(user)
    assert feed(client)["personalised"] is True

    user.personalised_feed = False
    user.save(update_fields=["personalised_feed"])
    page = feed(client, limit=3)

    assert page["personalised"] is False
    assert ids(page) == [shop[0].pk, shop[1].pk, shop[2].pk]
    assert page["model"]["name"] == "popular"
    assert {item["reason"]["code"] for item in page["items"]} == {"popular"}


def test_the_switch_reaches_the_pages_still_to_come(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")
    user = learner()
    shop.act(user, 12, "rating", 5)
    client = api_for(user)
    first = feed(client, limit=4)

    user.personalised_feed = False
    user.save(update_fields=["personalised_feed"])
    second = feed(client, limit=4, cursor=first["next_cursor"])

    assert second["personalised"] is False
    assert {item["reason"]["code"] for item in second["items"]} == {"popular"}
    assert not set(ids(first)) & set(ids(second))


def test_owned_hidden_withdrawn_and_done_courses_are_left_out(shop, learner, api_for):
    user = learner()
    client = api_for(user)
    assert len(ids(feed(client, limit=50))) == 20
    entitlement_grant(
        user_id=user.pk, scope=shop[0].scope, source="operator", source_ref="t", reason="测试"
    )
    CourseHide.objects.create(user=user, course=shop[1], action="not_interested")
    Course.objects.filter(pk=shop[2].pk).update(status=Course.Status.WITHDRAWN)
    shop.act(user, 3, "purchase")
    shop.act(user, 4, "complete")
    shop.act(user, 5, "view")

    left = ids(feed(client, limit=50))

    assert not {shop[n].pk for n in range(5)} & set(left)
    assert shop[5].pk in left
    assert len(left) == 15


def test_a_membership_marks_courses_as_owned_but_keeps_recommending_them(shop, learner, api_for):
    user = learner()
    Course.objects.filter(pk=shop[0].pk).update(in_membership=True)
    entitlement_grant(
        user_id=user.pk, scope="membership:vip", source="operator", source_ref="m", reason="测试"
    )

    page = feed(api_for(user), limit=2)

    assert [item["course"]["owned"] for item in page["items"]] == [True, False]


def test_pages_hold_every_course_once_in_one_order(shop, learner, api_for):
    client = api_for(learner())
    seen, request_ids, positions, cursor = [], set(), [], None
    for _ in range(10):
        page = feed(client, limit=6, **({"cursor": cursor} if cursor else {}))
        seen += ids(page)
        positions += [item["position"] for item in page["items"]]
        request_ids.add(page["request_id"])
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert sorted(seen) == sorted(course.pk for course in shop.courses)
    assert len(seen) == 20
    assert positions == list(range(1, 21))
    assert len(request_ids) == 1


def test_a_course_bought_between_pages_does_not_appear_on_the_next(shop, learner, api_for):
    user = learner()
    client = api_for(user)
    first = feed(client, limit=5)
    shop.act(user, 6, "purchase")

    second = feed(client, limit=5, cursor=first["next_cursor"])

    assert shop[6].pk not in ids(second)
    assert len(second["items"]) == 5


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "nonsense"},
        {"cursor": "W10"},
        {"cursor": "WyJhIiwgMV0"},
        {"limit": "0"},
        {"limit": "x"},
        {"surface": "nowhere"},
        {"course_id": "-1"},
        {"course_id": "99999999999999999999"},
        {"cursor": "\x00"},
    ],
)
def test_broken_questions_are_refused_with_a_sentence(shop, learner, api_for, query):
    reply = api_for(learner()).get("/api/v1/feed", query)

    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_input"


def test_a_foreign_cursor_is_refused(shop, learner, api_for):
    cursor = feed(api_for(learner()), limit=5)["next_cursor"]

    reply = api_for(learner()).get("/api/v1/feed", {"cursor": cursor})

    assert reply.status_code == 400


def test_without_a_token_there_is_no_feed(shop, api_for):
    assert api_for().get("/api/v1/feed").status_code == 401


def test_the_limit_stops_at_fifty(learner, api_for, db):
    from tests.recommender.conftest import Shop

    Shop(courses=60)

    assert len(feed(api_for(learner()), limit=500)["items"]) == 50


def test_a_feed_takes_four_queries(shop, learner, api_for, serve, django_assert_max_num_queries):
    shop.crowd()
    serve("ials")
    user = learner()
    for n in range(8):
        shop.act(user, n, "rating", 5)
    client = api_for(user)
    feed(client)  # a new process reads its caches once

    with django_assert_max_num_queries(4):
        feed(client)


def test_the_same_request_id_gives_the_same_list(shop, learner):
    for n in range(10, 16):
        Course.objects.filter(pk=shop[n].pk).update(published_at=clock.now(), hot_score=0)
    user = learner()
    request_id = uuid.UUID(int=7)

    first = first_page(user, surface="home", limit=20, request_id=request_id)
    FeedRequest.objects.all().delete()
    again = first_page(user, surface="home", limit=20, request_id=request_id)

    assert [o.card["id"] for o in first.shown] == [o.card["id"] for o in again.shown]


def test_new_courses_get_a_bounded_number_of_slots_with_their_propensity(shop, learner):
    fresh = {course.pk for course in shop.courses[16:]}
    Course.objects.filter(pk__in=fresh).update(published_at=clock.now(), hot_score=0)
    user = learner()

    page = first_page(user, surface="home", limit=10)

    tried = [one for one in page.shown if one.reason.code == "new"]
    kept = FeedRequest.objects.get(pk=page.request_id)
    assert len(tried) == 1
    assert 5 <= tried[0].position <= 10
    assert int(tried[0].card["id"]) in fresh
    assert 0 < kept.propensities[tried[0].position - 1] < 0.6
    assert kept.propensities[0] == 1


def test_what_was_passed_over_moves_down_once_the_learner_acts(shop, learner, api_for):
    user = learner()
    client = api_for(user)
    assert ids(feed(client, limit=5)) == [course.pk for course in shop.courses[:5]]

    shop.act(user, 4, "rating", 5)
    after = ids(feed(client, limit=5))

    assert not {course.pk for course in shop.courses[:5]} & set(after[:1])
    assert after != [course.pk for course in shop.courses[:5]]


def test_operators_rules_pin_exclude_and_bury(shop, learner, api_for):
    now = clock.now()
    FeedRule.objects.create(action="pin", target="course", target_id=shop[15].pk, position=2)
    FeedRule.objects.create(action="exclude", target="course", target_id=shop[0].pk)
    FeedRule.objects.create(
        action="bury", target="category", target_id=shop.left.pk, strength=1, surface="course"
    )
    FeedRule.objects.create(
        action="exclude", target="category", target_id=shop.left.pk, ends_at=now - timedelta(1)
    )
    client = api_for(learner())

    page = feed(client, limit=4)
    elsewhere = feed(client, surface="course", limit=4)

    assert ids(page)[:3] == [shop[1].pk, shop[15].pk, shop[2].pk]
    assert page["items"][1]["reason"] == {"code": "pinned", "text": "编辑推荐", "because": []}
    assert {item["course"]["category"]["name"] for item in elsewhere["items"]} == {"编程"}


def test_a_course_page_mixes_what_is_similar_to_the_course(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")

    page = feed(api_for(learner()), surface="course", course_id=shop[15].pk, limit=4)

    assert shop[15].pk not in ids(page)
    similar = [i for i in page["items"] if i["reason"]["code"] == "similar"]
    assert similar
    assert similar[0]["reason"]["because"] == [str(shop[15].pk)]
    assert similar[0]["course"]["category"]["name"] == "编程"


def test_the_record_of_a_feed_says_what_was_served(shop, learner, api_for):
    user = learner()

    page = feed(api_for(user), limit=5)

    kept = FeedRequest.objects.get(pk=page["request_id"])
    assert kept.items[: kept.served] == ids(page)
    assert len(kept.items) == len(kept.scores) == len(kept.propensities) == len(kept.codes) == 20
    assert (kept.user_id, kept.surface, kept.personalised) == (user.pk, "home", True)


def test_impressions_alone_change_nothing(shop, learner, api_for):
    user = learner()
    client = api_for(user)
    before = ids(feed(client, limit=10))
    for n in range(3):
        shop.act(user, n, Event.Type.IMPRESSION)

    assert ids(feed(client, limit=10)) == before
    assert holder.current is None


def test_records_of_feeds_are_forgotten_after_six_months(shop, learner, api_for):
    user = learner()
    old, young = (first_page(user, surface="home", limit=2).request_id for _ in range(2))
    FeedRequest.objects.filter(pk=old).update(created_at=clock.now() - timedelta(days=181))

    assert feeds_forget() == 1
    assert list(FeedRequest.objects.values_list("pk", flat=True)) == [young]
