"""Lists and pages of the catalogue."""

from typing import Any

from django.db.models import F, IntegerField, QuerySet
from django.db.models.functions import Coalesce

from accounts.models import User
from content.models import Category, Course, Lesson
from content.selectors.access import course_for_user, door_openers
from content.selectors.cards import cards
from content.selectors.search import matching
from kernel.api.fields import rfc3339

# What `sort` means; the last name is unique, as keyset pages need.
ORDERS: dict[str, tuple[str, ...]] = {
    "new": ("-published_at", "-id"),
    "hot": ("-hot_score", "-id"),
    "rating": ("-rating_rank", "-id"),
    "price": ("price", "-id"),
    "relevance": ("-relevance", "-hot_score", "-id"),
}


def published_courses() -> QuerySet[Course]:
    """Every course on the shelf."""
    return Course.objects.filter(status=Course.Status.PUBLISHED)


def category_tree() -> list[dict[str, Any]]:
    """All categories as nested dicts {id, key, name, children}; one query."""
    rows = list(Category.objects.all())
    nodes: dict[int, dict[str, Any]] = {
        row.pk: {"id": str(row.pk), "key": row.key, "name": row.name, "children": []}
        for row in rows
    }
    roots: list[dict[str, Any]] = []
    for row in rows:
        parent = nodes.get(row.parent_id) if row.parent_id else None
        (parent["children"] if parent else roots).append(nodes[row.pk])
    return roots


def category_ids(name: str) -> list[int]:
    """The category called by id or key, and all below it; empty when there is none."""
    rows = list(Category.objects.values_list("pk", "key", "parent_id"))
    found = [pk for pk, key, _ in rows if key == name or str(pk) == name]
    for pk in found:  # grows while it is walked: children of children come too
        found.extend(child for child, _, parent in rows if parent == pk and child not in found)
    return found


def find_courses(
    *,
    category: str = "",
    text: str = "",
    tag: str = "",
    creator_id: int | None = None,
    sort: str = "",
) -> tuple[QuerySet[Course], tuple[str, ...]]:
    """Published courses that pass every filter given, and the order for `paginate`."""
    courses = published_courses().only("id", "published_at", "hot_score", "rating_rank")
    if category:
        courses = courses.filter(category__in=category_ids(category))
    if tag:
        courses = courses.filter(tag_names__contains=[tag])
    if creator_id is not None:
        courses = courses.filter(creator=creator_id)
    if text:
        courses = matching(courses, text)
    if sort == "price":
        courses = courses.annotate(
            price=Coalesce(F("product__price_fen"), 0, output_field=IntegerField())
        )
    return courses, ORDERS[sort or ("relevance" if text else "hot")]


def course_detail(user: User | None, course_id: int) -> dict[str, Any]:
    """The detail page of contract section 9. Raises `NotFound`. Six queries at most."""
    course, access = course_for_user(user, course_id)
    owned = {course.pk} if access.granted and access.source != "free" else ()
    (card,) = cards([course.pk], owned=owned, withdrawn=True)
    creator = course.creator
    return {
        **card,
        "status": course.status,
        "intro": course.intro,
        "in_membership": course.in_membership,
        "duration_seconds": course.duration_seconds,
        "creator": creator
        and {
            "id": str(creator.pk),
            "nickname": creator.nickname,
            "avatar_url": creator.avatar_url,
            "bio": creator.bio,
        },
        "lessons": [
            lesson_line(lesson, access=access.granted or lesson.is_trial)
            for lesson in course.lessons.defer("content")
        ],
        "products": door_openers(course),
        "access": {
            "granted": access.granted,
            "source": access.source or None,
            "valid_until": rfc3339(access.valid_until),
        },
    }


def lesson_line(lesson: Lesson, *, access: bool) -> dict[str, Any]:
    """A lesson in the list of its course: what it is, not what it says."""
    return {
        "id": str(lesson.pk),
        "title": lesson.title,
        "kind": lesson.kind,
        "duration_seconds": lesson.duration_seconds,
        "is_trial": lesson.is_trial,
        "access": access,
    }
