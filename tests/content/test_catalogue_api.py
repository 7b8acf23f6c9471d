"""Lists, filters, pages and cards over HTTP."""

from datetime import timedelta

import pytest
from django.conf import settings

from content.models import Course
from content.selectors import cards
from content.services import course_move, course_rating_add
from kernel import clock
from payments.models import Product
from payments.services import entitlement_grant
from tests.content.shop import make_category, make_course, make_creator


def titles(reply) -> list[str]:
    assert reply.status_code == 200, reply.content
    return [item["title"] for item in reply.json()["items"]]


def test_a_card_has_the_fields_of_the_contract(db):
    category, creator = make_category("职场"), make_creator("林夏")
    course = make_course(
        "复盘", price_fen=1990, category=category.key, creator=creator.key, tags=["时间", "效率"],
        published_at="2025-03-10",
    )  # fmt: skip
    course_rating_add(course_id=course.pk, stars=13, votes=3)

    (card,) = cards([course.pk])

    assert card == {
        "id": str(course.pk),
        "title": "复盘",
        "subtitle": "",
        "cover_url": f"{settings.KPAY.public_base_url}/media/covers/{course.pk}.svg",
        "kind": "course",
        "category": {"id": str(category.pk), "name": "职场"},
        "creator": {"id": str(creator.pk), "nickname": "林夏"},
        "tags": ["时间", "效率"],
        "price_fen": 1990,
        "list_fen": 1990,
        "rating": {"mean": 4.3, "count": 3},  # 13 / 3
        "lesson_count": 2,
        "learner_count": 0,
        "owned": False,
        "published_at": "2025-03-10T00:00:00+08:00",
    }


def test_cards_keep_the_order_leave_out_drafts_and_cost_one_query(db, django_assert_num_queries):
    a, draft, b = make_course("甲"), make_course("乙", status="draft"), make_course("丙")

    with django_assert_num_queries(1):
        found = cards([b.pk, draft.pk, a.pk, b.pk], owned={a.pk})

    assert [(card["title"], card["owned"]) for card in found] == [("丙", False), ("甲", True)]
    assert cards([]) == []


def test_a_card_shows_the_promotional_price_while_it_runs(db):
    course = make_course(price_fen=5000)
    promo = Product.objects.filter(pk=course.product_id)
    promo.update(promo_fen=3000, promo_until=clock.now() + timedelta(hours=1))
    assert cards([course.pk])[0]["price_fen"] == 3000

    promo.update(promo_until=clock.now() - timedelta(seconds=1))
    assert cards([course.pk])[0]["price_fen"] == 5000


def test_a_category_includes_what_is_below_it_by_id_or_key(db, api_for):
    top = make_category("生活", key="life")
    below = make_category("健康", key="health", parent="life")
    make_course("上", category="life")
    make_course("下", category="health")
    make_course("旁")
    get = api_for().get

    assert set(titles(get("/api/v1/courses", {"category": "life"}))) == {"上", "下"}
    assert titles(get("/api/v1/courses", {"category": str(below.pk)})) == ["下"]
    assert titles(get("/api/v1/courses", {"category": "none"})) == []
    (tree,) = get("/api/v1/categories").json()["items"]
    assert (tree["id"], tree["key"]) == (str(top.pk), "life")
    assert [child["name"] for child in tree["children"]] == ["健康"]


def test_tag_and_creator_filter(db, api_for):
    creator = make_creator("甲师")
    make_course("一", tags=["效率"], creator=creator.key)
    make_course("二", tags=["效率工具"])
    get = api_for().get

    assert titles(get("/api/v1/courses", {"tag": "效率"})) == ["一"]
    assert titles(get("/api/v1/courses", {"creator": str(creator.pk)})) == ["一"]


def test_each_sort_is_by_its_own_column(db, api_for):
    cheap = make_course("便宜", price_fen=100, published_at="2025-01-01")
    free = make_course("免费", price_fen=None, published_at="2025-01-02")
    dear = make_course("昂贵", price_fen=900, published_at="2025-01-03")
    Course.objects.filter(pk=free.pk).update(hot_score=9)
    # (5 + 38) / 11 = 3.909; (90 + 38) / 30 = 4.267; nobody: 3.8
    course_rating_add(course_id=cheap.pk, stars=5, votes=1)
    course_rating_add(course_id=dear.pk, stars=90, votes=20)
    get = api_for().get

    def order(sort: str) -> list[str]:
        return titles(get("/api/v1/courses", {"sort": sort}))

    assert order("new") == ["昂贵", "免费", "便宜"]
    assert order("price") == ["免费", "便宜", "昂贵"]
    assert order("rating") == ["昂贵", "便宜", "免费"]
    assert order("hot")[0] == "免费"


@pytest.mark.parametrize("sort", ["new", "hot", "rating", "price", ""])
def test_pages_hold_every_course_once(db, api_for, sort):
    for number in range(7):
        make_course(f"课程第{number}号", price_fen=100 * (number % 3), published_at="2025-01-01")
    seen: list[str] = []
    query = {"limit": "3", **({"sort": sort} if sort else {"q": "课程"})}
    cursor = None

    for _page in range(5):
        sent = {**query, **({"cursor": cursor} if cursor else {})}
        reply = api_for().get("/api/v1/courses", sent)
        seen += titles(reply)
        cursor = reply.json()["next_cursor"]
        if cursor is None:
            break

    assert sorted(seen) == sorted(Course.objects.values_list("title", flat=True))


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "xx"},
        {"cursor": "W10"},
        {"cursor": "WyJhIiwiYiJd"},
        {"limit": "0"},
        {"limit": "x"},
        {"creator": "9" * 30},
        {"creator": "-1"},
        {"sort": "stars"},
        {"q": "a\x00b"},
        {"category": "\x00"},
        {"q": "x" * 201},
    ],
)
def test_bad_filters_are_refused_in_the_one_error_shape(db, api_for, query):
    reply = api_for().get("/api/v1/courses", query)

    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_input"


def test_detail_lists_lessons_products_and_access(db, api_for, learner):
    user = learner()
    course = make_course("详", price_fen=1000, intro="<p>介绍</p>")

    before = api_for(user).get(f"/api/v1/courses/{course.pk}").json()
    entitlement_grant(
        user_id=user.pk, scope=course.scope, source="operator", source_ref="1", reason="补发"
    )
    after = api_for(user).get(f"/api/v1/courses/{course.pk}").json()

    assert before["access"] == {"granted": False, "source": None, "valid_until": None}
    assert [(x["title"], x["is_trial"], x["access"]) for x in before["lessons"]] == [
        ("试听", True, True),
        ("正课", False, False),
    ]
    assert [(p["scope"], p["price_fen"]) for p in before["products"]] == [(course.scope, 1000)]
    assert before["intro"] == "<p>介绍</p>"
    assert after["access"]["source"] == "operator"
    assert after["owned"] is True
    assert all(lesson["access"] for lesson in after["lessons"])


@pytest.mark.parametrize("course_id", ["0", "99999999", "9" * 40, "9" * 5000, "abc", "-1"])
def test_unknown_courses_are_not_found(db, api_for, course_id):
    assert api_for().get(f"/api/v1/courses/{course_id}").status_code == 404


def test_a_draft_is_not_found_and_a_withdrawn_course_only_by_its_owner(db, api_for, learner):
    owner, other = learner(), learner()
    course, draft = make_course(), make_course(status="draft")
    entitlement_grant(
        user_id=owner.pk, scope=course.scope, source="operator", source_ref="1", reason="补发"
    )
    course_move(course_id=course.pk, to="withdrawn")

    assert api_for(owner).get(f"/api/v1/courses/{draft.pk}").status_code == 404
    assert api_for(other).get(f"/api/v1/courses/{course.pk}").status_code == 404
    reply = api_for(owner).get(f"/api/v1/courses/{course.pk}")
    assert (reply.status_code, reply.json()["status"]) == (200, "withdrawn")


def test_interests_are_categories_by_key_or_id(learner, api_for):
    user = learner()
    one, two = make_category("一", key="one"), make_category("二", key="two")
    client = api_for(user)

    put = client.put("/api/v1/me/interests", {"interests": ["two", str(one.pk), "two"]})
    assert put.json() == {"interests": ["two", "one"]}
    assert client.get("/api/v1/interests").json()["selected"] == ["two", "one"]
    refused = client.put("/api/v1/me/interests", {"interests": ["none"]})
    assert refused.status_code == 400
    user.refresh_from_db()
    assert user.interests == ["two", "one"]
    assert two.key == "two"


def test_a_guest_may_browse_but_a_wrong_token_is_refused(db, api_for):
    client = api_for()
    assert client.get("/api/v1/courses").status_code == 200
    assert client.get("/api/v1/interests").status_code == 401

    client.credentials(HTTP_AUTHORIZATION="Bearer wrong")
    assert client.get("/api/v1/courses").status_code == 401
