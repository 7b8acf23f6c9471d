"""The shop written for the project: complete, free of repetition, every reference resolves."""

import json
import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).parents[2] / "content" / "sample"
TAG = re.compile(r"</?([a-zA-Z0-9]+)([^>]*)>")
ALLOWED_TAGS = {"p", "h3", "ul", "li", "strong"}
COURSE_KINDS = {"column", "course", "article", "audio_album", "lecture"}
LESSON_KINDS = {"article", "audio", "video", "document", "lecture"}
TEXT_KINDS = {"article", "document"}


def load(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


SHOP = load(SAMPLE / "shop.json")
COURSES = [
    course for path in sorted(SAMPLE.glob("courses/*.json")) for course in load(path)["courses"]
]
LESSONS = [lesson for course in COURSES for lesson in course["lessons"]]
every_course = pytest.mark.parametrize("course", COURSES, ids=lambda course: course["key"])


def plain(html: str) -> str:
    return TAG.sub("", html)


def keys(name: str) -> set[str]:
    return {row["key"] for row in SHOP[name]}


def test_the_shop_has_64_courses_in_8_categories_by_12_creators():
    assert len(COURSES) >= 64
    assert len(SHOP["categories"]) == 8
    assert len(SHOP["creators"]) == 12
    assert len(LESSONS) >= 420
    assert set(Counter(course["category"] for course in COURSES).values()) == {8}
    assert {course["creator"] for course in COURSES} == keys("creators")


def test_every_key_of_the_shop_is_given_once():
    given = [row["key"] for rows in SHOP.values() for row in rows]
    for course in COURSES:
        given += [course["key"], *(row["key"] for row in course["lessons"] + course["products"])]

    assert [key for key, times in Counter(given).items() if times > 1] == []


def test_titles_and_intros_are_all_different():
    for name in ("title", "subtitle", "intro"):
        assert len({course[name] for course in COURSES}) == len(COURSES)


@every_course
def test_a_course_is_complete_and_refers_to_what_exists(course):
    assert course["kind"] in COURSE_KINDS
    assert course["status"] == "published"
    assert course["category"] in keys("categories")
    assert course["creator"] in keys("creators")
    assert 3 <= len(set(course["tags"])) == len(course["tags"]) <= 5
    assert date(2025, 3, 1) <= date.fromisoformat(course["published_at"]) <= date(2026, 11, 1)
    assert isinstance(course["in_membership"], bool)
    assert course["intro"].count("<p>") >= 2
    assert len(plain(course["intro"])) >= 80


@every_course
def test_a_course_has_4_to_12_lessons_and_opens_with_a_trial(course):
    lessons = course["lessons"]

    assert 4 <= len(lessons) <= 12
    assert lessons[0]["is_trial"]
    assert 1 <= sum(lesson["is_trial"] for lesson in lessons) <= 2
    assert {lesson["kind"] for lesson in lessons} <= LESSON_KINDS
    assert any(row["kind"] in TEXT_KINDS and not row["is_trial"] for row in lessons)


@every_course
def test_a_trial_is_a_real_article_and_no_lesson_is_a_stub(course):
    for lesson in course["lessons"]:
        characters = len(plain(lesson["content"]))
        if lesson["is_trial"]:
            assert 250 <= characters <= 560, lesson["key"]
            assert "<h3>" in lesson["content"]
        else:
            assert 60 <= characters <= 200, lesson["key"]


@every_course
def test_lengths_fit_the_kind_of_lesson(course):
    for lesson in course["lessons"]:
        seconds = lesson["duration_seconds"]
        if lesson["kind"] in TEXT_KINDS:  # read at some 400 characters a minute
            assert 10 <= seconds <= 90, lesson["key"]
        else:
            assert 5 * 60 <= seconds <= 30 * 60, lesson["key"]


def test_no_text_appears_twice():
    texts = Counter(lesson["content"] for lesson in LESSONS)
    sentences: Counter[str] = Counter()
    for lesson in LESSONS:
        found = {part.strip() for part in re.split("[。！？]", plain(lesson["content"]))}
        sentences.update(part for part in found if len(part) >= 12)

    assert max(texts.values()) == 1
    assert [text for text, times in sentences.items() if times > 1] == []


def test_only_the_allowed_html_tags_without_attributes_occur():
    for html in [course["intro"] for course in COURSES] + [row["content"] for row in LESSONS]:
        for name, attributes in TAG.findall(html):
            assert name in ALLOWED_TAGS
            assert attributes == ""
        for name in ALLOWED_TAGS:
            assert html.count(f"<{name}>") == html.count(f"</{name}>")


def test_prices_are_those_of_a_real_shop():
    products = [product for course in COURSES for product in course["products"]]

    assert all(len(course["products"]) == 1 for course in COURSES)
    for product in products:
        price, listed = product["price_fen"], product["list_fen"]
        assert price == 0 or 990 <= price <= 39900
        assert listed >= price
        assert product["channels"] == ["jsapi", "virtual"]
    assert 2 <= sum(product["price_fen"] == 0 for product in products) <= 6
    assert len({product["price_fen"] for product in products}) >= 10


def test_plans_coupons_rules_codes_and_operators_hold_together():
    assert {plan["period"] for plan in SHOP["plans"]} == {"month", "quarter", "year"}
    assert {plan["scope"] for plan in SHOP["plans"]} == {"membership:vip"}
    assert len(SHOP["coupon_templates"]) >= 3
    for template in SHOP["coupon_templates"]:
        assert 0 < template["discount_fen"] < template["min_fen"]
        assert template["budget_fen"] == template["budget_count"] * template["discount_fen"]
        assert template["claimable"] is True
    points = {rule["kind"]: rule["points"] for rule in SHOP["earning_rules"]}
    assert points["check_in"] == 5
    assert points["lesson_finished"] == 10
    assert points["purchase"] == 20
    assert {code["course"] for code in SHOP["redeem_codes"]} <= {row["key"] for row in COURSES}
    assert all("password" not in operator for operator in SHOP["operators"])
