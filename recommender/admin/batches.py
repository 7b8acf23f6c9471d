"""Lists for everybody: operators start a batch and see its shards."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from kernel.admin import ReadOnlyAdmin
from recommender.admin.confirming import confirmed, may_promote
from recommender.models import BatchScore, BatchShard
from recommender.services.batches import batch_start

BATCHES = "admin:recommender_batchscore_changelist"


class ShardInline(admin.TabularInline[BatchShard, BatchScore]):
    model = BatchShard
    fields = ("number", "state", "users", "attempts", "done_at", "error")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(BatchScore)
class BatchScoreAdmin(ReadOnlyAdmin[BatchScore]):
    list_display = ("id", "version", "status", "k", "parts", "users", "created_at", "finished_at")
    list_filter = ("status", "created_at")
    search_fields = ("=id", "version__version", "reason")
    list_select_related = ("version",)
    actions_list = ("score_now",)
    inlines = (ShardInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BatchScore]:
        done = Count("shards", filter=Q(shards__state=BatchShard.State.DONE))
        batches: QuerySet[BatchScore] = super().get_queryset(request)
        return batches.annotate(n_shards=Count("shards"), n_done=done)

    @admin.display(description=_("分片"))
    def parts(self, batch: Any) -> str:
        return f"{batch.n_done} / {batch.n_shards}"

    @action(description=_("为所有学员打分"), url_path="score", permissions=["score"])  # type: ignore[untyped-decorator]
    def score_now(self, request: HttpRequest) -> HttpResponse:
        def act(reason: str) -> str:
            batch = batch_start(reason=reason, requested_by_id=request.user.pk)
            return gettext("批量打分 #%(batch)s 已开始。") % {"batch": batch.pk}

        return confirmed(self, request, act, gettext("用线上模型为所有学员计算列表？"), BATCHES)

    def has_score_permission(self, request: HttpRequest) -> bool:
        return may_promote(request)
