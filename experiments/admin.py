"""Operators draft, start, stop and read experiments."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from experiments import services
from experiments.models import Arm, Experiment, Exposure
from kernel.admin import ModelAdmin, ReadOnlyAdmin
from kernel.errors import DomainError


class ArmInline(TabularInline):  # type: ignore[misc]
    """Arms change while the experiment is a draft: later the split must stand still."""

    model = Arm
    extra = 2

    def _is_draft(self, obj: Experiment | None) -> bool:
        return obj is None or obj.status == Experiment.Status.DRAFT

    def has_add_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        return self._is_draft(obj) and bool(super().has_add_permission(request, obj))

    def has_change_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        return self._is_draft(obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        return self._is_draft(obj) and bool(super().has_delete_permission(request, obj))


@admin.register(Experiment)
class ExperimentAdmin(ModelAdmin[Experiment]):
    list_display = ("key", "title", "layer", "status", "traffic_bp", "exposed", "started_at")
    list_filter = ("status", "layer")
    search_fields = ("key", "title")
    readonly_fields = ("status", "buckets", "started_at", "stopped_at")
    inlines = (ArmInline,)
    actions = ("start", "stop")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        found: QuerySet[Experiment] = super().get_queryset(request)
        return found.annotate(exposed_count=Count("exposures"))

    def get_readonly_fields(
        self, request: HttpRequest, obj: Experiment | None = None
    ) -> tuple[str, ...]:
        if obj is None or obj.status == Experiment.Status.DRAFT:
            return self.readonly_fields
        return (*self.readonly_fields, "key", "layer", "traffic_bp")

    def has_delete_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        if obj is not None and obj.status != Experiment.Status.DRAFT:
            return False
        return bool(super().has_delete_permission(request, obj))

    @admin.display(description=_("曝光用户数"), ordering="exposed_count")
    def exposed(self, obj: Experiment) -> int:
        return int(getattr(obj, "exposed_count", 0))

    @action(description=_("启动所选实验"), permissions=["change"])  # type: ignore[untyped-decorator]
    def start(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        self._each(request, queryset, lambda pk: services.experiment_start(experiment_id=pk))

    @action(description=_("停止所选实验"), permissions=["change"])  # type: ignore[untyped-decorator]
    def stop(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        self._each(request, queryset, lambda pk: services.experiment_stop(experiment_id=pk))

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Experiment],
        run: Callable[[int], Experiment],
    ) -> None:
        for experiment in queryset.order_by("pk"):
            try:
                run(experiment.pk)
            except DomainError as refused:
                self.message_user(request, f"{experiment}：{refused.message}", messages.ERROR)
            else:
                self.message_user(request, _("%(name)s：已完成。") % {"name": experiment})


@admin.register(Exposure)
class ExposureAdmin(ReadOnlyAdmin[Exposure]):
    list_display = ("experiment", "user", "arm", "first_at")
    list_filter = ("experiment", "arm", "first_at")
    search_fields = ("=user__username",)
    list_select_related = ("experiment", "user")
