"""Similar courses, interest tags, offers and what messages recommend."""

import pytest

from content.models import Course
from incentives.models import CouponTemplate
from recommender.dataset import snapshot
from recommender.models import TagDeletion
from recommender.serving import recommend_for_user
from recommender.serving.feed import read_scene
from tests.recommender.conftest import ids

pytestmark = pytest.mark.django_db


def test_similar_courses_come_from_the_model(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")

    reply = api_for().get(f"/api/v1/courses/{shop[15].pk}/similar", {"limit": 4})

    assert reply.status_code == 200
    found = [int(card["id"]) for card in reply.json()["items"]]
    assert len(found) == 4
    assert set(found) <= {course.pk for course in shop.courses[10:]} - {shop[15].pk}


def test_without_a_model_similar_courses_share_the_category(shop, api_for):
    reply = api_for().get(f"/api/v1/courses/{shop[15].pk}/similar", {"limit": 3})

    assert [int(card["id"]) for card in reply.json()["items"]] == [
        shop[10].pk,
        shop[11].pk,
        shop[12].pk,
    ]


@pytest.mark.parametrize("wrong", ["0", "999999", "99999999999999999999999"])
def test_similar_to_nothing_is_not_found(shop, api_for, wrong):
    assert api_for().get(f"/api/v1/courses/{wrong}/similar").status_code == 404


def test_tags_show_what_is_used_and_a_deleted_one_is_used_no_more(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")
    user = learner(interests=["photo"])
    shop.act(user, 13, "favourite")
    shop.act(user, 14, "rating", 5)
    client = api_for(user)
    tags = client.get("/api/v1/me/tags").json()["items"]
    assert tags[0] == {"tag": "摄影", "kind": "category", "source": "declared", "weight": 1.0}
    assert {tag["tag"] for tag in tags} == {"摄影", "编程", "入门", "进阶"}

    reply = client.delete("/api/v1/me/tags/编程")

    assert reply.status_code == 204
    left = client.get("/api/v1/me/tags").json()["items"]
    assert {tag["tag"] for tag in left} == {"摄影"}
    assert read_scene(user).state.liked == []
    page = client.get("/api/v1/feed", {"limit": 5}).json()
    assert {item["reason"]["code"] for item in page["items"]} == {"interest"}
    assert shop[13].pk in ids(client.get("/api/v1/feed", {"limit": 50}).json())


def test_a_deleted_tag_leaves_the_training_data(shop, learner):
    user = learner()
    shop.act(user, 3, "favourite")
    shop.act(user, 13, "favourite")
    TagDeletion.objects.create(user=user, tag="编程")

    interactions, _ = snapshot()

    assert [interactions.items.id(row) for row in interactions.item_rows] == [str(shop[3].pk)]


def test_deleting_a_declared_interest_by_name_takes_its_key_out(shop, learner, api_for):
    user = learner(interests=["code"])
    client = api_for(user)
    assert client.get("/api/v1/feed").json()["items"][0]["reason"]["code"] == "interest"

    client.delete("/api/v1/me/tags/编程")

    assert client.get("/api/v1/feed").json()["items"][0]["reason"]["code"] == "popular"


def test_messages_get_titles_and_reasons(shop, learner):
    user = learner()

    found = recommend_for_user(user.pk, 3)

    assert [one.title for one in found] == ["课程00", "课程01", "课程02"]
    assert {one.reason_text for one in found} == {"很多学员在学"}
    assert recommend_for_user(0, 3) == []


def template(shop, title, fen, scopes=()):
    return CouponTemplate.objects.create(
        key=title, title=title, discount_fen=fen, scopes=list(scopes), valid_days=7, per_user=1
    )


def test_a_coupon_for_a_course_looked_at_comes_first_unless_switched_off(shop, learner, api_for):
    small = template(shop, "小券", 100, [shop[7].scope])
    large = template(shop, "大券", 5000)
    user = learner()
    shop.act(user, 7, "view")
    client = api_for(user)

    def coupons():
        items = client.get("/api/v1/offers").json()["items"]
        return [item["id"] for item in items if item["kind"] == "coupon"]

    assert coupons() == [f"coupon:{small.pk}", f"coupon:{large.pk}"]
    user.personalised_offers = False
    user.save(update_fields=["personalised_offers"])
    assert coupons() == sorted([f"coupon:{small.pk}", f"coupon:{large.pk}"])
    assert Course.objects.count() == 20
