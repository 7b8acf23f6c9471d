"""What operators see and do: runs and their curves, versions, feed rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from kernel.admin import ModelAdmin, ReadOnlyAdmin
from kernel.errors import DomainError
from recommender.curves import curves_svg
from recommender.models import (
    FeedRequest,
    FeedRule,
    ModelVersion,
    ServingPointer,
    TagDeletion,
    TrainingRun,
)
from recommender.services.versions import version_promote, version_roll_back
from recommender.tasks import queue_training

METRICS = ("hr@10", "ndcg@10", "mrr@10", "recall@20", "coverage@10", "p95_ms")


RUNS = "admin:recommender_trainingrun_changelist"
VERSIONS = "admin:recommender_modelversion_changelist"


def confirmed(
    page: ReadOnlyAdmin[Any],
    request: HttpRequest,
    act: Callable[[str], str],
    question: str,
    back: str,
) -> HttpResponse:
    """Ask for a reason first; act on POST alone, then go `back` with what happened."""
    reason = request.POST.get("reason", "").strip()[:200]
    if request.method != "POST" or not reason:
        context = {
            **page.admin_site.each_context(request),
            "title": question,
            "question": question,
            "back": reverse(back),
        }
        return TemplateResponse(request, "recommender/confirm.html", context)
    try:
        messages.success(request, act(reason))
    except DomainError as refused:
        messages.error(request, str(refused.message))
    return HttpResponseRedirect(reverse(back))


def _moved(version: ModelVersion) -> str:
    return gettext("线上模型已切换为 %(version)s。") % {"version": version.version}


def _figure(metrics: dict[str, Any], name: str) -> str:
    value = metrics.get(name)
    if name.startswith("users") and value is not None:
        return f"{value:.0f}"
    return "—" if value is None else f"{value:.4f}"


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin[TrainingRun]):
    """Runs are evidence; a new one is queued by the button above the list."""

    list_display = (
        "id",
        "model_name",
        "status",
        "percent",
        "ndcg",
        "serving_ndcg",
        "popular_ndcg",
        "n_interactions",
        "version",
        "created_at",
        "finished_at",
    )
    list_filter = ("status", "model_name", "created_at")
    search_fields = ("=id", "version", "reason")
    list_select_related = ("requested_by",)
    actions_list = ("train_now",)
    readonly_fields = ("comparison", "checks", "charts")
    fieldsets = (
        (None, {"fields": ("status", "model_name", "stage", "percent", "version", "error")}),
        (_("评估"), {"fields": ("comparison", "checks")}),
        (_("曲线"), {"fields": ("charts",)}),
        (_("数据"), {"fields": ("n_users", "n_items", "n_interactions", "cleaning", "data_hash")}),
        (
            _("过程"),
            {
                "fields": (
                    "reason",
                    "requested_by",
                    "params",
                    "seed",
                    "code_version",
                    "created_at",
                    "started_at",
                    "heartbeat_at",
                    "finished_at",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "percent")

    @admin.display(description=_("进度"), ordering="progress")
    def percent(self, run: TrainingRun) -> str:
        return f"{run.progress:.0%}"

    @admin.display(description="NDCG@10")
    def ndcg(self, run: TrainingRun) -> str:
        return _figure(run.metrics, "ndcg@10")

    @admin.display(description=_("线上 NDCG@10"))
    def serving_ndcg(self, run: TrainingRun) -> str:
        return _figure(run.baseline_metrics, "ndcg@10")

    @admin.display(description=_("热门榜 NDCG@10"))
    def popular_ndcg(self, run: TrainingRun) -> str:
        return _figure(run.popular_metrics, "ndcg@10")

    @admin.display(description=_("指标对比"))
    def comparison(self, run: TrainingRun) -> SafeString:
        columns = (run.metrics, run.baseline_metrics, run.popular_metrics)
        head = (gettext("指标"), gettext("新模型"), gettext("线上模型"), gettext("热门榜"))
        sources = [name for name in run.metrics if "[" in name]
        rows = [head, *((n, *(_figure(c, n) for c in columns)) for n in (*METRICS, *sources))]
        cell = '<div style="display:flex">' + '<span style="width:13em">{}</span>' * 4 + "</div>"
        return format_html_join("", cell, rows)

    @admin.display(description=_("上线检查"))
    def checks(self, run: TrainingRun) -> SafeString:
        rows = [("✓" if check["passed"] else "✗", check["text"]) for check in run.gate]
        return format_html_join("", "<div>{} {}</div>", rows)

    @admin.display(description=_("训练曲线"))
    def charts(self, run: TrainingRun) -> SafeString:
        return curves_svg(run.curves)

    @action(description=_("开始训练"), url_path="train", permissions=["train"])  # type: ignore[untyped-decorator]
    def train_now(self, request: HttpRequest) -> HttpResponse:
        def act(reason: str) -> str:
            run = queue_training(reason=reason, requested_by_id=request.user.pk)
            return gettext("训练任务 #%(run)s 已排队。") % {"run": run.pk}

        return confirmed(
            self, request, act, gettext("现在训练一个新模型？通过评估后会自动上线。"), RUNS
        )

    def has_train_permission(self, request: HttpRequest) -> bool:
        return _may_promote(request)


def _may_promote(request: HttpRequest) -> bool:
    return request.user.has_perm("recommender.change_modelversion")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin[ModelVersion]):
    list_display = ("version", "name", "status", "ndcg", "hit_rate", "created_at", "promoted_at")
    list_filter = ("status", "name", "created_at")
    search_fields = ("version", "name")
    list_select_related = ("run",)
    actions_detail = ("promote",)
    actions_list = ("roll_back",)

    @admin.display(description="NDCG@10")
    def ndcg(self, version: ModelVersion) -> str:
        return _figure(version.metrics, "ndcg@10")

    @admin.display(description="HR@10")
    def hit_rate(self, version: ModelVersion) -> str:
        return _figure(version.metrics, "hr@10")

    @action(description=_("上线此版本"), url_path="promote", permissions=["promote"])  # type: ignore[untyped-decorator]
    def promote(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act(reason: str) -> str:
            return _moved(
                version_promote(version_id=object_id, by_id=request.user.pk, reason=reason)
            )

        return confirmed(self, request, act, gettext("让所有服务进程改用此版本？"), VERSIONS)

    @action(description=_("回退到上一版本"), url_path="roll-back", permissions=["promote"])  # type: ignore[untyped-decorator]
    def roll_back(self, request: HttpRequest) -> HttpResponse:
        def act(reason: str) -> str:
            return _moved(version_roll_back(by_id=request.user.pk, reason=reason))

        return confirmed(self, request, act, gettext("回退到上一个上线过的版本？"), VERSIONS)

    def has_promote_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return _may_promote(request)


@admin.register(ServingPointer)
class ServingPointerAdmin(ReadOnlyAdmin[ServingPointer]):
    list_display = ("version", "moved_at", "moved_by", "reason")
    list_select_related = ("version", "moved_by")


@admin.register(FeedRule)
class FeedRuleAdmin(ModelAdmin[FeedRule]):
    list_display = (
        "action",
        "target",
        "target_id",
        "surface",
        "position",
        "strength",
        "starts_at",
        "ends_at",
        "active",
    )
    list_filter = ("action", "target", "surface", "active")
    search_fields = ("=target_id", "note")


@admin.register(FeedRequest)
class FeedRequestAdmin(ReadOnlyAdmin[FeedRequest]):
    list_display = (
        "request_id",
        "user",
        "surface",
        "model_name",
        "model_version",
        "personalised",
        "served",
        "created_at",
    )
    list_filter = ("surface", "personalised", "model_name", "created_at")
    search_fields = ("=request_id", "=user__username")
    list_select_related = ("user",)


@admin.register(TagDeletion)
class TagDeletionAdmin(ReadOnlyAdmin[TagDeletion]):
    list_display = ("user", "tag", "created_at")
    search_fields = ("tag", "=user__username")
    list_select_related = ("user",)
