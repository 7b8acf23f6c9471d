"""Operators' rules for feeds, and what feeds showed."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from content.models import Course
from kernel.admin import ModelAdmin, ReadOnlyAdmin
from recommender.models import FeedRequest, FeedRule, TagDeletion
from recommender.serving import ranking
from recommender.words import model_named, surface_words

SHOWN = 30  # places of a list on its page


def source_words() -> dict[int, str]:
    """What put a course into a list, by its code."""
    return {
        ranking.POPULAR: gettext("热门"),
        ranking.NEW: gettext("新课探索"),
        ranking.MODEL: gettext("模型"),
        ranking.SIMILAR: gettext("与当前课程相似"),
        ranking.INTERESTING: gettext("所选兴趣"),
        ranking.PINNED: gettext("置顶"),
        ranking.TOLD: gettext("同兴趣或同渠道"),
    }


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
        "where",
        "named",
        "model_version",
        "personalised",
        "served",
        "created_at",
    )
    list_filter = ("surface", "personalised", "model_name", "created_at")
    search_fields = ("=request_id", "=user__username")
    list_select_related = ("user",)
    readonly_fields = ("where", "named", "places")
    fieldsets = (
        (None, {"fields": ("request_id", "user", "where", "course_id", "created_at")}),
        (_("模型"), {"fields": ("named", "model_version", "personalised", "experiment")}),
        (_("列表"), {"fields": ("served", "places")}),
    )

    @admin.display(description=_("场景"), ordering="surface")
    def where(self, request: FeedRequest) -> str:
        return surface_words().get(request.surface, request.surface)

    @admin.display(description=_("模型"), ordering="model_name")
    def named(self, request: FeedRequest) -> str:
        return model_named(request.model_name)

    @admin.display(description=_("课程与来源"))
    def places(self, request: FeedRequest) -> SafeString:
        """The first places of the list: course, source, score, and its chance where drawn."""
        ids = request.items[:SHOWN]
        titles = dict(Course.objects.filter(pk__in=ids).values_list("pk", "title"))
        said = source_words()
        head = (
            gettext("位置"),
            gettext("课程"),
            gettext("来源"),
            gettext("得分"),
            gettext("曝光概率"),
        )
        rows = [
            (place, titles.get(pk, f"#{pk}"), said.get(code, code), f"{score:.3f}", f"{chance:.4g}")
            for place, (pk, code, score, chance) in enumerate(
                zip(ids, request.codes, request.scores, request.propensities, strict=False), 1
            )
        ]
        row = "<tr>" + '<td style="padding:2px 16px 2px 0">{}</td>' * 5 + "</tr>"
        table = format_html("<table>{}</table>", format_html_join("", row, [head, *rows]))
        hidden = len(request.items) - len(rows)
        if hidden <= 0:
            return table
        rest = gettext("其后还有 %(n)s 门") % {"n": hidden}
        return format_html("{}<div>{}</div>", table, rest)


@admin.register(TagDeletion)
class TagDeletionAdmin(ReadOnlyAdmin[TagDeletion]):
    list_display = ("user", "tag", "created_at")
    search_fields = ("tag", "=user__username")
    list_select_related = ("user",)
