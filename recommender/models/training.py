"""Training runs, model versions, which of them serves, and how a shadow compares."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kernel import clock

NOTHING = models.Value({}, models.JSONField())


class TrainingRun(models.Model):
    """One try at training a model, from the queue to the gate's verdict.

    `lease` fences the worker: every write of a worker names the lease it was given, so a worker
    that was declared dead cannot move a run any more.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("排队中")
        RUNNING = "running", _("训练中")
        SUCCEEDED = "succeeded", _("已上线")
        SHADOWED = "shadowed", _("影子运行")
        REJECTED = "rejected", _("未通过评估")
        DIVERGED = "diverged", _("训练发散")
        FAILED = "failed", _("失败")

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", _("定时")
        DRIFT = "drift", _("漂移")
        DEMAND = "demand", _("人工")

    class Publish(models.TextChoices):
        PROMOTE = "promote", _("通过后上线")
        SHADOW = "shadow", _("通过后影子运行")

    status = models.CharField(_("状态"), max_length=12, choices=Status, default=Status.QUEUED)
    model_name = models.CharField(_("模型"), max_length=60, default="auto")
    params = models.JSONField(_("参数"), default=dict, blank=True)
    seed = models.IntegerField(_("随机种子"), default=0)
    trigger = models.CharField(
        _("触发"),
        max_length=12,
        choices=Trigger,
        default=Trigger.DEMAND,
        db_default=Trigger.DEMAND,
    )
    publish = models.CharField(
        _("发布"),
        max_length=12,
        choices=Publish,
        default=Publish.PROMOTE,
        db_default=Publish.PROMOTE,
    )
    reason = models.CharField(_("原因"), max_length=200, blank=True)
    resumes = models.ForeignKey(
        "self",
        verbose_name=_("接续"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("进程中断的任务；从它的检查点继续"),
    )
    attempt = models.PositiveSmallIntegerField(_("第几次尝试"), default=1, db_default=1)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("发起人"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    stage = models.CharField(_("阶段"), max_length=40, blank=True)
    progress = models.FloatField(_("进度"), default=0)
    curves = models.JSONField(_("训练曲线"), default=dict, blank=True)
    cleaning = models.JSONField(_("清洗报告"), default=dict, blank=True)
    metrics = models.JSONField(_("评估指标"), default=dict, blank=True)
    baseline_metrics = models.JSONField(_("线上模型指标"), default=dict, blank=True)
    popular_metrics = models.JSONField(_("热门榜指标"), default=dict, blank=True)
    knn_metrics = models.JSONField(_("近邻基线指标"), default=dict, db_default=NOTHING, blank=True)
    gate = models.JSONField(_("上线检查"), default=list, blank=True)
    n_users = models.IntegerField(_("用户数"), default=0)
    n_items = models.IntegerField(_("课程数"), default=0)
    n_interactions = models.BigIntegerField(_("行为数"), default=0)
    data_hash = models.CharField(_("数据指纹"), max_length=64, blank=True)
    code_version = models.CharField(_("代码版本"), max_length=64, blank=True)
    lineage = models.JSONField(_("来历"), default=dict, db_default=NOTHING, blank=True)
    version = models.CharField(_("产出版本"), max_length=64, blank=True)
    error = models.TextField(_("错误"), blank=True)
    refusal = models.JSONField(
        _("错误要素"), default=dict, db_default=NOTHING, blank=True, editable=False
    )
    lease = models.UUIDField(_("租约"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now)
    woken_at = models.DateTimeField(_("上次唤起"), default=clock.now, editable=False)
    started_at = models.DateTimeField(_("开始时间"), null=True, blank=True)
    heartbeat_at = models.DateTimeField(_("心跳"), null=True, blank=True)
    finished_at = models.DateTimeField(_("结束时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("训练任务")
        verbose_name_plural = _("训练任务")
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["status"], condition=Q(status="running"), name="one_training_run_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(progress__gte=0) & Q(progress__lte=1), name="training_progress_is_share"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.model_name}"

    @property
    def finished(self) -> bool:
        return self.status not in (self.Status.QUEUED, self.Status.RUNNING)


class ModelVersion(models.Model):
    """A published artifact. The files under `path` never change after the row exists."""

    class Status(models.TextChoices):
        CANDIDATE = "candidate", _("候选")
        SERVING = "serving", _("线上")
        RETIRED = "retired", _("已下线")

    version = models.CharField(_("版本"), max_length=64, unique=True)
    name = models.CharField(_("模型"), max_length=60)
    path = models.CharField(
        _("目录"), max_length=300, blank=True, help_text=_("相对于模型目录；旧版本清理后为空")
    )
    status = models.CharField(_("状态"), max_length=12, choices=Status, default=Status.CANDIDATE)
    metrics = models.JSONField(_("评估指标"), default=dict, blank=True)
    recipe = models.JSONField(_("训练配方"), default=dict, blank=True)
    data_hash = models.CharField(_("数据指纹"), max_length=64, blank=True)
    run = models.ForeignKey(
        TrainingRun,
        verbose_name=_("训练任务"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="versions",
    )
    created_at = models.DateTimeField(_("发布时间"), default=clock.now)
    promoted_at = models.DateTimeField(_("上线时间"), null=True, blank=True)
    shadowed_at = models.DateTimeField(
        _("影子开始"), null=True, blank=True, help_text=_("有值时与线上模型对比打分，不影响学员")
    )

    class Meta:
        verbose_name = _("模型版本")
        verbose_name_plural = _("模型版本")
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["status"], condition=Q(status="serving"), name="one_model_version_serves"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class ServingPointer(models.Model):
    """The one row (pk 1) that names the version web workers should serve."""

    version = models.ForeignKey(
        ModelVersion,
        verbose_name=_("模型版本"),
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    moved_at = models.DateTimeField(_("切换时间"), default=clock.now)
    moved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("操作人"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    reason = models.CharField(_("原因"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("线上模型")
        verbose_name_plural = _("线上模型")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(pk=1), name="serving_pointer_is_one_row")
        ]

    def __str__(self) -> str:
        return str(self.version_id)


class ShadowComparison(models.Model):
    """A shadow beside the serving model on the same learners' next new courses.

    Both rank all courses the learner had not touched, from what was known before the event; both
    were trained before `since`. Means over `users` learners.
    """

    version = models.ForeignKey(
        ModelVersion, verbose_name=_("影子版本"), on_delete=models.CASCADE, related_name="+"
    )
    against = models.ForeignKey(
        ModelVersion, verbose_name=_("线上版本"), on_delete=models.CASCADE, related_name="+"
    )
    since = models.DateTimeField(_("开始"))
    until = models.DateTimeField(_("结束"))
    users = models.PositiveIntegerField(_("学员数"))
    overlap = models.FloatField(_("前十重合"))
    ndcg = models.FloatField(_("影子 NDCG@10"))
    against_ndcg = models.FloatField(_("线上 NDCG@10"))
    hit_rate = models.FloatField(_("影子 HR@10"))
    against_hit_rate = models.FloatField(_("线上 HR@10"))
    p95_ms = models.FloatField(_("影子打分毫秒"))
    against_p95_ms = models.FloatField(_("线上打分毫秒"))
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("影子对比")
        verbose_name_plural = _("影子对比")
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "against", "since"], name="shadow_window_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version_id} / {self.against_id}"
