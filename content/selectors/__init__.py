"""Reading the catalogue, each in a fixed number of queries."""

from content.selectors.access import (
    Access,
    access_to_course,
    bought_courses,
    course_for_cover,
    course_for_user,
    lesson_for_player,
    lesson_for_user,
    membership_scopes,
    owned_course_ids,
)
from content.selectors.cards import cards
from content.selectors.courses import (
    category_tree,
    course_detail,
    find_courses,
    published_courses,
)
from content.selectors.search import hot_terms, suggestions

__all__ = [
    "Access",
    "access_to_course",
    "bought_courses",
    "cards",
    "category_tree",
    "course_detail",
    "course_for_cover",
    "course_for_user",
    "find_courses",
    "hot_terms",
    "lesson_for_player",
    "lesson_for_user",
    "membership_scopes",
    "owned_course_ids",
    "published_courses",
    "suggestions",
]
