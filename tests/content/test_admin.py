"""The operators' pages: they open, save through services, and act."""

import pytest
import tablib
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.models import User
from content import models
from content.models import Course, SearchMiss
from content.resources import CourseResource
from kernel.models import StaffAction
from tests.content.shop import make_category, make_course, make_creator

PAGES = ["category", "tag", "creator", "course", "searchmiss", "searchterm"]


@pytest.fixture
def operator(db, client):
    client.force_login(User.objects.create_superuser("operator", "secret-pass-1"))
    return client


@pytest.mark.parametrize("name", PAGES)
def test_every_list_opens_and_is_searched(operator, name):
    make_course("复盘", category=make_category().key, creator=make_creator().key, tags=["甲"])
    SearchMiss.objects.create(key="a", query="a", times=1)

    assert operator.get(reverse(f"admin:content_{name}_changelist")).status_code == 200
    assert operator.get(reverse(f"admin:content_{name}_changelist"), {"q": "复"}).status_code == 200


def test_the_course_list_does_not_ask_once_per_row(operator, django_assert_max_num_queries):
    for _ in range(12):
        make_course(category=make_category().key, creator=make_creator().key)

    with django_assert_max_num_queries(20):
        operator.get(reverse("admin:content_course_changelist"))


def test_saving_a_course_cleans_it_and_makes_it_found(operator):
    course = make_course("旧标题")
    lesson = course.lessons.first()
    form = {
        "title": "新的标题", "subtitle": "", "kind": "course", "cover_url": "", "tags": [],
        "price_yuan": "19.90", "list_yuan": "29.00",
        "intro": "<p>好<script>x</script></p>", "publish_at_0": "", "publish_at_1": "",
        "lessons-TOTAL_FORMS": 1, "lessons-INITIAL_FORMS": 1,
        "lessons-0-id": lesson.pk, "lessons-0-course": course.pk, "lessons-0-title": "一",
        "lessons-0-kind": "article", "lessons-0-position": 1, "lessons-0-duration_seconds": 0,
        "lessons-0-content": "<p onclick='x()'>字</p>", "lessons-0-media_key": "",
    }  # fmt: skip

    reply = operator.post(reverse("admin:content_course_change", args=[course.pk]), form)

    assert reply.status_code == 302, reply.context["errors"]
    course.refresh_from_db()
    lesson.refresh_from_db()
    assert course.intro == "<p>好</p>"
    assert (course.product.price_fen, course.product.list_fen) == (1990, 2900)
    assert StaffAction.objects.get().target == course.scope
    assert (lesson.content, lesson.duration_seconds) == ("<p>字</p>", 10)
    assert course.duration_seconds == 110  # 10 + 100 of the second lesson
    found = operator.get("/api/v1/courses", {"q": "新的"}).json()["items"]
    assert [item["title"] for item in found] == ["新的标题"]


def test_a_new_course_with_a_price_is_a_draft_whose_product_waits(operator):
    form = {
        "title": "新课", "subtitle": "", "kind": "course", "cover_url": "", "intro": "",
        "price_yuan": "0.29", "list_yuan": "", "publish_at_0": "", "publish_at_1": "",
        "lessons-TOTAL_FORMS": 0, "lessons-INITIAL_FORMS": 0,
    }  # fmt: skip

    refused = operator.post(reverse("admin:content_course_add"), {**form, "list_yuan": "0.28"})
    made = operator.post(reverse("admin:content_course_add"), form)

    assert refused.status_code == 200
    assert made.status_code == 302, made.context["errors"]
    course = Course.objects.get()
    assert (course.status, course.product.price_fen, course.product.active) == ("draft", 29, False)


def test_actions_move_courses_and_say_what_was_refused(operator):
    live, draft = make_course("上架课"), make_course("草稿课", status="draft")

    reply = operator.post(
        reverse("admin:content_course_changelist"),
        {"action": "withdraw", "_selected_action": [live.pk, draft.pk]},
        follow=True,
    )

    live.refresh_from_db()
    draft.refresh_from_db()
    assert (live.status, draft.status) == ("withdrawn", "draft")
    said = [str(message) for message in reply.context["messages"]]
    assert any("草稿课" in sentence for sentence in said)


def test_courses_go_out_to_a_spreadsheet_and_come_back(db):
    make_category("职场", key="work")
    make_creator("林夏", key="lin")
    make_course("旧", key="c1", tags=["甲", "乙"], creator="lin", cover_url="https://x/y.png")
    sheet = CourseResource().export()
    assert (sheet["external_key"], sheet["tags"], sheet["price_fen"]) == (
        ["c1"],
        ["甲|乙"],
        ["9900"],
    )
    back = tablib.Dataset(
        ["c1", "新", "work", "lin", "乙", "1", "draft"],
        ["c2", "另", "work", "", "丙|丁", "0", "published"],
        headers=["external_key", "title", "category", "creator", "tags", "in_membership", "status"],
    )

    result = CourseResource().import_data(back)

    assert not result.has_errors(), [e.error for row in result.rows for e in row.errors]
    old, new = Course.objects.order_by("external_key")
    assert (old.title, old.tag_names, old.status, old.in_membership) == (
        "新", ["乙"], "published", True,
    )  # fmt: skip
    assert (old.cover_url, old.lesson_count) == ("https://x/y.png", 2)
    assert (new.title, new.tag_names, new.status) == ("另", ["丙", "丁"], "draft")
    assert new.search_vector


def test_the_import_page_shows_what_would_change(operator):
    make_category("职场", key="work")
    upload = SimpleUploadedFile(
        "courses.csv", "external_key,title,category\nc9,新课,work\n".encode(), "text/csv"
    )

    reply = operator.post(
        reverse("admin:content_course_import"), {"format": "0", "import_file": upload}
    )

    assert reply.status_code == 200
    assert "新课" in reply.content.decode()
    assert not models.Course.objects.exists()
