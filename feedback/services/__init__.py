"""Everything that changes what is known about learners' doings."""

from feedback.services.batches import Recorded, events_record
from feedback.services.choices import favourite_clear, favourite_set, hide_course
from feedback.services.facts import courses_bought, fact_forget, fact_note
from feedback.services.figures import course_figures_refresh, hot_scores_refresh
from feedback.services.imports import ImportedEvent, bulk_import_events
from feedback.services.progress import lesson_opened, progress_report
from feedback.services.ratings import rating_clear, rating_set

__all__ = [
    "ImportedEvent",
    "Recorded",
    "bulk_import_events",
    "course_figures_refresh",
    "courses_bought",
    "events_record",
    "fact_forget",
    "fact_note",
    "favourite_clear",
    "favourite_set",
    "hide_course",
    "hot_scores_refresh",
    "lesson_opened",
    "progress_report",
    "rating_clear",
    "rating_set",
]
