"""The schedule's pages in the look of the others: django-celery-beat brings Django's plain ones."""

from typing import Any

from django.contrib import admin
from django_celery_beat import admin as plain
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from kernel.admin import ModelAdmin

for schedule in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(schedule)


class _TaskSelect(UnfoldAdminSelectWidget, plain.TaskSelectWidget):  # type: ignore[misc]
    pass


class PeriodicTaskForm(plain.PeriodicTaskForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = _TaskSelect()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(plain.PeriodicTaskAdmin, ModelAdmin[PeriodicTask]):  # type: ignore[misc]
    form = PeriodicTaskForm
    list_display = ("name", "task", "enabled", "scheduler", "last_run_at", "one_off")


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ModelAdmin[IntervalSchedule]):
    list_display = ("every", "period")
    list_filter = ("period",)


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(plain.CrontabScheduleAdmin, ModelAdmin[CrontabSchedule]):  # type: ignore[misc]
    pass


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ModelAdmin[SolarSchedule]):
    list_display = ("event", "latitude", "longitude")
    list_filter = ("event",)


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(ModelAdmin[ClockedSchedule]):
    list_display = ("clocked_time",)
    list_filter = ("clocked_time",)
