"""What learners do, for operators to look at. Evidence: nothing is changed here."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from feedback.models import (
    CourseHide,
    CourseProgress,
    Event,
    Favourite,
    LessonProgress,
    Rating,
)
from kernel.admin import ReadOnlyAdmin


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    list_display = ("occurred_at", "user", "type", "course", "value", "query", "origin")
    list_filter = ("type", "origin", "occurred_at")
    search_fields = ("=user__username", "=client_event_id", "=request_id")
    list_select_related = ("user", "course")
    ordering = ("-id",)


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin[Rating]):
    list_display = ("updated_at", "course", "user", "stars", "counted")
    list_filter = ("stars", "counted", "updated_at")
    search_fields = ("course__title", "=user__username")
    list_select_related = ("user", "course")


@admin.register(Favourite)
class FavouriteAdmin(ReadOnlyAdmin[Favourite]):
    list_display = ("created_at", "user", "course")
    list_filter = ("created_at",)
    search_fields = ("course__title", "=user__username")
    list_select_related = ("user", "course")


@admin.register(CourseHide)
class CourseHideAdmin(ReadOnlyAdmin[CourseHide]):
    list_display = ("created_at", "user", "course", "action")
    list_filter = ("action", "created_at")
    search_fields = ("course__title", "=user__username")
    list_select_related = ("user", "course")


@admin.register(CourseProgress)
class CourseProgressAdmin(ReadOnlyAdmin[CourseProgress]):
    list_display = ("user", "course", "started_at", "last_at", "watched_seconds", "finished_at")
    list_filter = ("started_at", "finished_at")
    search_fields = ("course__title", "=user__username")
    list_select_related = ("user", "course")


@admin.register(LessonProgress)
class LessonProgressAdmin(ReadOnlyAdmin[LessonProgress]):
    list_display = ("user", "lesson", "course", "percent", "watched_seconds", "finished_at")
    list_filter = ("opened_at", "finished_at")
    search_fields = ("lesson__title", "course__title", "=user__username")
    list_select_related = ("user", "lesson", "course")
    readonly_fields = ("watched_intervals",)
    exclude = ("intervals",)

    @admin.display(description=_("已学区间"))
    def watched_intervals(self, progress: LessonProgress) -> str:
        return "、".join(f"{start}–{end}" for start, end in progress.intervals)
