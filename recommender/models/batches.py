"""Lists for everybody, worked out in shards by any number of workers."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kernel import clock
from recommender.models.training import ModelVersion


class BatchScore(models.Model):
    """One run over all learners by one model version. Its shards are due work.

    Files lie under `path` of the model directory, one per shard; `users` is their sum.
    """

    class Status(models.TextChoices):
        RUNNING = "running", _("进行中")
        SUCCEEDED = "succeeded", _("已完成")
        FAILED = "failed", _("失败")

    version = models.ForeignKey(
        ModelVersion, verbose_name=_("模型版本"), on_delete=models.PROTECT, related_name="+"
    )
    status = models.CharField(_("状态"), max_length=12, choices=Status, default=Status.RUNNING)
    k = models.PositiveSmallIntegerField(_("每人课程数"), default=20)
    path = models.CharField(_("目录"), max_length=300, blank=True)
    users = models.PositiveIntegerField(_("学员数"), default=0)
    reason = models.CharField(_("原因"), max_length=200, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("发起人"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("创建时间"), default=clock.now)
    finished_at = models.DateTimeField(_("结束时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("批量打分")
        verbose_name_plural = _("批量打分")
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"#{self.pk}"


class BatchShard(models.Model):
    """A range of learners. `lease` fences the worker, `due_at` is when it may be taken again."""

    class State(models.TextChoices):
        DUE = "due", _("待处理")
        DONE = "done", _("已完成")
        DEAD = "dead", _("已放弃")

    batch = models.ForeignKey(
        BatchScore, verbose_name=_("批量打分"), on_delete=models.CASCADE, related_name="shards"
    )
    number = models.PositiveIntegerField(_("编号"))
    first_user = models.BigIntegerField(_("起始用户"))
    last_user = models.BigIntegerField(_("截止用户"))
    state = models.CharField(_("状态"), max_length=8, choices=State, default=State.DUE)
    due_at = models.DateTimeField(_("到期"), default=clock.now)
    lease = models.PositiveIntegerField(_("租约"), default=0)
    attempts = models.PositiveSmallIntegerField(_("尝试次数"), default=0)
    users = models.PositiveIntegerField(_("学员数"), default=0)
    error = models.CharField(_("错误"), max_length=500, blank=True)
    done_at = models.DateTimeField(_("完成时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("打分分片")
        verbose_name_plural = _("打分分片")
        ordering: ClassVar = ["batch", "number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "number"], name="batch_shard_once"),
            models.CheckConstraint(
                condition=Q(first_user__lte=models.F("last_user")), name="batch_shard_is_a_range"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="batch_shard_due", condition=Q(state="due"))
        ]

    def __str__(self) -> str:
        return f"#{self.batch_id}.{self.number}"
