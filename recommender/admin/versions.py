"""Which version serves and which is a shadow: what operators see and do."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from kernel.admin import ReadOnlyAdmin
from recommender.admin.confirming import confirmed, may_promote
from recommender.admin.figures import METRICS, figure, lines_of, metric_words
from recommender.models import ModelVersion, ServingPointer, ShadowComparison
from recommender.selectors import ShadowTotal, shadow_totals
from recommender.services.versions import (
    version_before,
    version_promote,
    version_roll_back,
    version_shadow,
)
from recommender.words import model_named, recipe_lines

VERSIONS = "admin:recommender_modelversion_changelist"


def _moved(version: ModelVersion) -> str:
    return gettext("线上模型已切换为 %(version)s。") % {"version": version.version}


def _fitting(version: ModelVersion) -> set[str]:
    """The acts that would change something about this version as it stands."""
    if version.shadowed_at is not None:
        return {"promote", "unshadow"}
    if version.status == ModelVersion.Status.SERVING or not version.path:
        return set()
    return {"promote", "shadow"}


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

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """Only what would change something is offered."""
        version = self.get_object(request, object_id)
        fits = set() if version is None else _fitting(version)
        actions: list[Any] = super().get_actions_detail(request, object_id)
        return [a for a in actions if a.method.original_function_name in fits]

    def get_actions_list(self, request: HttpRequest) -> list[Any]:
        """No way back is offered before there is one."""
        actions: list[Any] = super().get_actions_list(request)
        return actions if version_before() is not None else []

    def _named(self, request: HttpRequest, object_id: Any) -> ModelVersion:
        """The version that the address names; 404 without it."""
        version: ModelVersion | None = self.get_object(request, object_id)
        if version is None:
            raise Http404
        return version

    @admin.display(description=_("模型"), ordering="name")
    def named(self, version: ModelVersion) -> str:
        return model_named(version.name)

    @admin.display(description=_("评估指标"))
    def figures(self, version: ModelVersion) -> SafeString:
        names = [n for n in (*METRICS, "distinct@10", "users") if n in version.metrics]
        names += [n for n in version.metrics if "[" in n]
        return lines_of([f"{metric_words(n)}：{figure(version.metrics, n)}" for n in names])

    @admin.display(description=_("训练配方"))
    def made_of(self, version: ModelVersion) -> SafeString:
        return lines_of(recipe_lines(version.recipe))

    @admin.display(description="NDCG@10")
    def ndcg(self, version: ModelVersion) -> str:
        return figure(version.metrics, "ndcg@10")

    @admin.display(description="HR@10")
    def hit_rate(self, version: ModelVersion) -> str:
        return figure(version.metrics, "hr@10")

    @action(description=_("上线此版本"), url_path="promote", permissions=["promote"])  # type: ignore[untyped-decorator]
    def promote(self, request: HttpRequest, object_id: int) -> HttpResponse:
        version = self._named(request, object_id)

        def act(reason: str) -> str:
            return _moved(
                version_promote(version_id=version.pk, by_id=request.user.pk, reason=reason)
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
        asked = self._named(request, object_id)

        def act(reason: str) -> str:
            version = version_shadow(
                version_id=asked.pk, on=on, by_id=request.user.pk, reason=reason
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
