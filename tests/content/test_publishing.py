"""A course's states, and what follows them."""

from datetime import timedelta

import pytest

from content.errors import CourseStateRefused
from content.models import Category, Course, Creator, Lesson, Tag
from content.rules import TRANSITIONS
from content.services import (
    ImportedCourse,
    bulk_import_courses,
    course_move,
    course_save,
    lesson_save,
    publish_due,
)
from kernel import clock
from kernel.errors import InvalidInput, NotFound
from payments.models import Product
from tests.content.shop import make_category, make_course, make_creator

ALLOWED = {
    ("draft", "review"), ("draft", "scheduled"), ("draft", "published"),
    ("review", "draft"), ("review", "scheduled"), ("review", "published"),
    ("scheduled", "review"), ("scheduled", "draft"), ("scheduled", "published"),
    ("published", "withdrawn"), ("withdrawn", "draft"), ("withdrawn", "published"),
}  # fmt: skip


@pytest.mark.parametrize("start", list(TRANSITIONS))
@pytest.mark.parametrize("to", list(TRANSITIONS))
def test_a_course_moves_only_as_the_table_says(db, start, to):
    course = make_course(status="draft")
    Course.objects.filter(pk=course.pk).update(status=start, published_at=clock.now())
    soon = clock.now() + timedelta(hours=1)

    if start == to or (start, to) in ALLOWED:
        assert course_move(course_id=course.pk, to=to, publish_at=soon).status == to
    else:
        with pytest.raises(CourseStateRefused) as refused:
            course_move(course_id=course.pk, to=to, publish_at=soon)
        assert refused.value.detail == {"state": start, "wanted": to}


def test_products_are_on_sale_exactly_while_the_course_is_published(db):
    course = make_course(status="draft")
    assert not Product.objects.get().active

    course_move(course_id=course.pk, to="published")
    assert Product.objects.get().active

    course_move(course_id=course.pk, to="withdrawn")
    assert not Product.objects.get().active


def test_a_course_that_comes_back_keeps_its_first_date(db):
    course = make_course(published_at="2025-03-10")
    course_move(course_id=course.pk, to="withdrawn")

    back = course_move(course_id=course.pk, to="published")

    assert back.published_at.isoformat() == "2025-03-09T16:00:00+00:00"


def test_scheduled_courses_are_published_when_their_moment_has_come(db):
    due, later = make_course(status="draft"), make_course(status="draft")
    now = clock.now()
    course_move(course_id=due.pk, to="scheduled", publish_at=now - timedelta(seconds=1))
    course_move(course_id=later.pk, to="scheduled", publish_at=now + timedelta(hours=1))

    assert publish_due() == 1
    assert Course.objects.get(pk=due.pk).status == "published"
    assert Course.objects.get(pk=later.pk).status == "scheduled"
    assert publish_due() == 0


def test_scheduling_needs_a_moment_and_unknown_courses_are_not_found(db):
    course = make_course(status="draft")
    with pytest.raises(InvalidInput):
        course_move(course_id=course.pk, to="scheduled")
    with pytest.raises(NotFound):
        course_move(course_id=0, to="published")


def test_saving_a_course_again_changes_it_and_adds_nothing(db):
    make_creator("林夏", key="lin")
    make_category("职场", key="work")
    common = {
        "key": "c1", "creator": "lin", "category": "work", "status": "published",
        "lessons": [{"key": "l1", "title": "一", "duration_seconds": 60}],
        "products": [{"key": "p1", "price_fen": 100, "list_fen": 200}],
    }  # fmt: skip

    first = course_save(title="旧", tags=["甲", "乙"], **common)
    again = course_save(title="新", tags=["乙"], **common)

    assert again.course.pk == first.course.pk
    assert again.lessons["l1"].pk == first.lessons["l1"].pk
    assert again.products["p1"].pk == first.products["p1"].pk == again.course.product_id
    course = Course.objects.get()
    assert (course.title, course.tag_names, course.lesson_count) == ("新", ["乙"], 1)
    assert (Lesson.objects.count(), Product.objects.count(), Tag.objects.count()) == (1, 1, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"creator": "nobody"},
        {"category": "nowhere"},
        {"kind": "film"},
        {"status": "sold"},
        {"title": " \n "},
        {"published_at": "gestern"},
        {"lessons": [{"title": "没有标识"}]},
        {"lessons": [{"key": "a", "title": "一", "kind": "hologram"}]},
        {"lessons": [{"key": "a", "title": "一", "duration_seconds": -1}]},
        {"products": [{"key": "p", "price_fen": "1"}]},
        {"products": [{"key": "p", "price_fen": 2, "list_fen": 1}]},
    ],
)
def test_a_wrong_field_leaves_nothing_half_done(db, wrong):
    with pytest.raises(InvalidInput):
        course_save(**{"key": "c1", "title": "课", **wrong})

    assert not Course.objects.exists()


def test_a_category_never_stands_below_itself(db):
    make_category("上", key="a")
    make_category("下", key="b", parent="a")

    with pytest.raises(InvalidInput):
        make_category("上", key="a", parent="b")


def test_an_article_without_length_takes_its_reading_time(db):
    course = make_course(lessons=[])

    text = lesson_save(course_id=course.pk, title="文", content=f"<p>{'字' * 800}</p>")
    video = lesson_save(course_id=course.pk, title="片", kind="video")

    assert (text.duration_seconds, text.position) == (120, 1)  # 800 / 400 a minute
    assert (video.duration_seconds, video.position) == (0, 2)


def test_imported_items_are_courses_with_a_trial_a_paid_lesson_and_a_product(db):
    rows = [
        ImportedCourse(key="ml:1", title="Heat (1995)", category="Crime", tags=["Crime", "Action"]),
        ImportedCourse(key="ml:2", title="Alien <b>", category="Horror", price_fen=0, text="a<b"),
    ]

    ids = bulk_import_courses("dataset:ml", rows)
    again = bulk_import_courses("dataset:ml", [*rows, ImportedCourse(key="ml:3", title="x")])

    assert set(ids) == {"ml:1", "ml:2"}
    assert {key: again[key] for key in ids} == ids
    assert Course.objects.count() == 3
    heat = Course.objects.get(external_key="ml:1")
    assert (heat.kind, heat.status, heat.creator.key) == ("article", "published", "dataset:ml")
    assert (heat.product.price_fen, heat.product.scope) == (990, f"course:{heat.pk}")
    assert heat.tag_names == ["Crime", "Action"]
    assert list(heat.lessons.values_list("is_trial", flat=True)) == [True, False]
    assert heat.duration_seconds == sum(heat.lessons.values_list("duration_seconds", flat=True))
    assert Course.objects.get(external_key="ml:2").product.price_fen == 0
    assert Lesson.objects.filter(content="<p>a&lt;b</p>").count() == 2
    assert Category.objects.count() == 2
    assert Creator.objects.count() == 1
