"""What operators see and do: training runs, their curves and lineage."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from kernel.admin import ReadOnlyAdmin
from recommender import gate, run_words
from recommender.admin.confirming import confirmed, may_promote
from recommender.admin.figures import METRICS, figure, lines_of, metric_words
from recommender.curves import curves_svg
from recommender.models import TrainingRun
from recommender.run_errors import error_said
from recommender.tasks import queue_training
from recommender.words import cleaning_lines, lineage_lines, model_named

RUNS = "admin:recommender_trainingrun_changelist"


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin[TrainingRun]):
    """Runs are evidence; a new one is queued by the button above the list."""

    list_display = (
        "id",
        "named",
        "status",
        "trigger",
        "percent",
        "ndcg",
        "serving_ndcg",
        "knn_ndcg",
        "popular_ndcg",
        "n_interactions",
        "version",
        "created_at",
        "finished_at",
    )
    list_filter = ("status", "trigger", "publish", "model_name", "created_at")
    search_fields = ("=id", "version", "reason")
    list_select_related = ("requested_by",)
    actions_list = ("train_now", "train_shadow")
    readonly_fields = (
        "comparison",
        "checks",
        "charts",
        "cleaned",
        "came_from",
        "doing",
        "why",
        "asked_for",
    )
    fieldsets = (
        (None, {"fields": ("status", "named", "doing", "percent", "version", "why")}),
        (_("评估"), {"fields": ("comparison", "checks")}),
        (_("曲线"), {"fields": ("charts",)}),
        (_("数据"), {"fields": ("n_users", "n_items", "n_interactions", "cleaned")}),
        (_("来历"), {"fields": ("data_hash", "code_version", "came_from", "params", "seed")}),
        (
            _("过程"),
            {
                "fields": (
                    "trigger",
                    "asked_for",
                    "requested_by",
                    "publish",
                    "resumes",
                    "attempt",
                    "created_at",
                    "started_at",
                    "heartbeat_at",
                    "finished_at",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "percent", "named")

    @admin.display(description=_("模型"), ordering="model_name")
    def named(self, run: TrainingRun) -> str:
        return model_named(run.model_name)

    @admin.display(description=_("阶段"))
    def doing(self, run: TrainingRun) -> str:
        return run_words.said(run.stage)

    @admin.display(description=_("原因"))
    def asked_for(self, run: TrainingRun) -> str:
        return run_words.said(run.reason)

    @admin.display(description=_("错误"))
    def why(self, run: TrainingRun) -> str:
        return error_said(run)

    @admin.display(description=_("进度"), ordering="progress")
    def percent(self, run: TrainingRun) -> str:
        return f"{run.progress:.0%}"

    @admin.display(description="NDCG@10")
    def ndcg(self, run: TrainingRun) -> str:
        return figure(run.metrics, "ndcg@10")

    @admin.display(description=_("线上 NDCG@10"))
    def serving_ndcg(self, run: TrainingRun) -> str:
        return figure(run.baseline_metrics, "ndcg@10")

    @admin.display(description=_("热门榜 NDCG@10"))
    def popular_ndcg(self, run: TrainingRun) -> str:
        return figure(run.popular_metrics, "ndcg@10")

    @admin.display(description=_("近邻 NDCG@10"))
    def knn_ndcg(self, run: TrainingRun) -> str:
        return figure(run.knn_metrics, "ndcg@10")

    @admin.display(description=_("清洗报告"))
    def cleaned(self, run: TrainingRun) -> SafeString:
        return lines_of(cleaning_lines(run.cleaning))

    @admin.display(description=_("数据与环境"))
    def came_from(self, run: TrainingRun) -> SafeString:
        return lines_of(lineage_lines(run.lineage))

    @admin.display(description=_("指标对比"))
    def comparison(self, run: TrainingRun) -> SafeString:
        columns = (run.metrics, run.baseline_metrics, run.knn_metrics, run.popular_metrics)
        head = (
            gettext("指标"),
            gettext("新模型"),
            gettext("线上模型"),
            gettext("近邻基线"),
            gettext("热门榜"),
        )
        sources = [name for name in run.metrics if "[" in name]
        rows = [
            head,
            *((metric_words(n), *(figure(c, n) for c in columns)) for n in (*METRICS, *sources)),
        ]
        cell = (
            '<div style="display:flex">'
            + '<span style="width:15em">{}</span>'
            + '<span style="width:8em">{}</span>' * 4
            + "</div>"
        )
        return format_html_join("", cell, rows)

    @admin.display(description=_("上线检查"))
    def checks(self, run: TrainingRun) -> SafeString:
        rows = [("✓" if check["passed"] else "✗", gate.sentence(check)) for check in run.gate]
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

    @action(description=_("训练影子模型"), url_path="train-shadow", permissions=["train"])  # type: ignore[untyped-decorator]
    def train_shadow(self, request: HttpRequest) -> HttpResponse:
        def act(reason: str) -> str:
            run = queue_training(
                reason=reason,
                requested_by_id=request.user.pk,
                publish=TrainingRun.Publish.SHADOW,
            )
            return gettext("训练任务 #%(run)s 已排队。") % {"run": run.pk}

        return confirmed(
            self, request, act, gettext("训练一个只与线上模型对比、不影响学员的影子模型？"), RUNS
        )

    def has_train_permission(self, request: HttpRequest) -> bool:
        return may_promote(request)
