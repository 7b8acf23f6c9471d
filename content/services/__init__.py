"""Everything that changes the catalogue."""

from content.services.bundles import course_bundle_set
from content.services.catalogue import (
    category_save,
    course_refresh,
    course_save,
    creator_save,
    lesson_save,
)
from content.services.figures import (
    course_learners_add,
    course_rating_add,
    figures_set,
    hot_scores_set,
)
from content.services.imports import ImportedCourse, bulk_import_courses
from content.services.interests import interests_set
from content.services.playing import play_ticket
from content.services.pricing import course_price_set
from content.services.publishing import course_move, course_publish, course_withdraw, publish_due
from content.services.searches import search_noted, searches_forget

__all__ = [
    "ImportedCourse",
    "bulk_import_courses",
    "category_save",
    "course_bundle_set",
    "course_learners_add",
    "course_move",
    "course_price_set",
    "course_publish",
    "course_rating_add",
    "course_refresh",
    "course_save",
    "course_withdraw",
    "creator_save",
    "figures_set",
    "hot_scores_set",
    "interests_set",
    "lesson_save",
    "play_ticket",
    "publish_due",
    "search_noted",
    "searches_forget",
]
