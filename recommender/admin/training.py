"""What operators see and do: runs, their curves and lineage, versions, shadows."""

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
from recommender.admin.confirming import confirmed, may_promote
from recommender.curves import curves_svg
from recommender.evaluation_page import words
from recommender.models import ModelVersion, ServingPointer, ShadowComparison, TrainingRun
from recommender.selectors import ShadowTotal, shadow_totals
from recommender.services.versions import version_promote, version_roll_back, version_shadow
from recommender.tasks import queue_training
from recommender.words import cleaning_lines, lineage_lines, model_named, recipe_lines

METRICS = ("hr@10", "ndcg@10", "mrr@10", "recall@20", "coverage@10", "p95_ms")

RUNS = "admin:recommender_trainingrun_changelist"
VERSIONS = "admin:recommender_modelversion_changelist"


def _moved(version: ModelVersion) -> str:
    return gettext("线上模型已切换为 %(version)s。") % {"version": version.version}


def _figure(metrics: dict[str, Any], name: str) -> str:
    value = metrics.get(name)
    if name.startswith("users") and value is not None:
        return f"{value:.0f}"
    return "—" if value is None else f"{value:.4f}"


def metric_words(name: str) -> str:
    """A figure's name for operators; of one imported data set with that set's name."""
    kind, bracket, source = name.partition("[")
    said = {
        "p95_ms": gettext("打分毫秒（p95）"),
        "distinct@10": gettext("不同的前十列表占比"),
        "users": gettext("留出学员数"),
    }.get(kind) or words(kind)
    return (
        gettext("%(said)s（%(source)s）") % {"said": said, "source": source[:-1]}
        if bracket
        else said
    )


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
    readonly_fields = ("comparison", "checks", "charts", "cleaned", "came_from")
    fieldsets = (
        (None, {"fields": ("status", "named", "stage", "percent", "version", "error")}),
        (_("评估"), {"fields": ("comparison", "checks")}),
        (_("曲线"), {"fields": ("charts",)}),
        (_("数据"), {"fields": ("n_users", "n_items", "n_interactions", "cleaned")}),
        (_("来历"), {"fields": ("data_hash", "code_version", "came_from", "params", "seed")}),
        (
            _("过程"),
            {
                "fields": (
                    "trigger",
                    "reason",
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

    @admin.display(description=_("近邻 NDCG@10"))
    def knn_ndcg(self, run: TrainingRun) -> str:
        return _figure(run.knn_metrics, "ndcg@10")

    @admin.display(description=_("清洗报告"))
    def cleaned(self, run: TrainingRun) -> SafeString:
        return _lines(cleaning_lines(run.cleaning))

    @admin.display(description=_("数据与环境"))
    def came_from(self, run: TrainingRun) -> SafeString:
        return _lines(lineage_lines(run.lineage))

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
            *((metric_words(n), *(_figure(c, n) for c in columns)) for n in (*METRICS, *sources)),
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


def shadow_table(totals: list[ShadowTotal]) -> SafeString | str:
    """One line per serving version that the shadow was compared with."""
    if not totals:
        return "—"
    line = gettext("对 {}：{} 位学员，NDCG@10 {} / {}，HR@10 {} / {}（影子 / 线上），前十重合 {}")
    rows = (
        (
            total.against,
            total.users,
            f"{total.ndcg:.4f}",
            f"{total.against_ndcg:.4f}",
            f"{total.hit_rate:.4f}",
            f"{total.against_hit_rate:.4f}",
            f"{total.overlap:.0%}",
        )
        for total in totals
    )
    return format_html_join("", f"<div>{line}</div>", rows)


def _lines(lines: list[str]) -> SafeString:
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines))


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin[ModelVersion]):
    list_display = (
        "version",
        "named",
        "status",
        "ndcg",
        "hit_rate",
        "created_at",
        "promoted_at",
        "shadowed_at",
    )
    list_filter = ("status", "name", "created_at")
    search_fields = ("version", "name")
    list_select_related = ("run",)
    actions_detail = ("promote", "shadow", "unshadow")
    readonly_fields = ("shadow_figures", "figures", "made_of", "named")
    actions_list = ("roll_back",)
    fieldsets = (
        (None, {"fields": ("version", "named", "status", "run", "path")}),
        (_("评估"), {"fields": ("figures", "shadow_figures")}),
        (_("来历"), {"fields": ("made_of", "data_hash")}),
        (_("过程"), {"fields": ("created_at", "promoted_at", "shadowed_at")}),
    )

    @admin.display(description=_("模型"), ordering="name")
    def named(self, version: ModelVersion) -> str:
        return model_named(version.name)

    @admin.display(description=_("评估指标"))
    def figures(self, version: ModelVersion) -> SafeString:
        names = [n for n in (*METRICS, "distinct@10", "users") if n in version.metrics]
        names += [n for n in version.metrics if "[" in n]
        return _lines([f"{metric_words(n)}：{_figure(version.metrics, n)}" for n in names])

    @admin.display(description=_("训练配方"))
    def made_of(self, version: ModelVersion) -> SafeString:
        return _lines(recipe_lines(version.recipe))

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

    @action(description=_("影子对比"), url_path="shadow", permissions=["promote"])  # type: ignore[untyped-decorator]
    def shadow(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._shadow(
            request, object_id, True, gettext("让此版本与线上模型对比打分？学员的推荐不变。")
        )

    @action(description=_("结束影子对比"), url_path="unshadow", permissions=["promote"])  # type: ignore[untyped-decorator]
    def unshadow(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._shadow(request, object_id, False, gettext("结束此版本的影子对比？"))

    def _shadow(
        self, request: HttpRequest, object_id: int, on: bool, question: str
    ) -> HttpResponse:
        def act(reason: str) -> str:
            version = version_shadow(
                version_id=object_id, on=on, by_id=request.user.pk, reason=reason
            )
            said = (
                gettext("%(version)s 开始影子对比。")
                if on
                else gettext("%(version)s 的影子对比已结束。")
            )
            return said % {"version": version.version}

        return confirmed(self, request, act, question, VERSIONS)

    @admin.display(description=_("影子对比结果"))
    def shadow_figures(self, version: ModelVersion) -> SafeString | str:
        """Sums over all comparisons with each serving version, weighed by their learners."""
        return shadow_table(shadow_totals(version))

    def has_promote_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may_promote(request)


@admin.register(ServingPointer)
class ServingPointerAdmin(ReadOnlyAdmin[ServingPointer]):
    list_display = ("version", "moved_at", "moved_by", "reason")
    list_select_related = ("version", "moved_by")


@admin.register(ShadowComparison)
class ShadowComparisonAdmin(ReadOnlyAdmin[ShadowComparison]):
    list_display = (
        "version",
        "against",
        "until",
        "users",
        "overlap",
        "ndcg",
        "against_ndcg",
        "hit_rate",
        "against_hit_rate",
        "p95_ms",
        "against_p95_ms",
    )
    list_filter = ("created_at",)
    search_fields = ("version__version", "against__version")
    list_select_related = ("version", "against")
