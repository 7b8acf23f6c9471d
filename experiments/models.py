"""Experiments, their arms, and who saw which arm first."""

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import IntegerRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class Experiment(models.Model):
    """One question asked of a share of a layer's users. Its arms stand still once it runs."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("草稿")
        RUNNING = "running", _("进行中")
        STOPPED = "stopped", _("已停止")

    key = models.SlugField(_("标识"), max_length=64, unique=True)
    title = models.CharField(_("名称"), max_length=100, blank=True, default="")
    layer = models.SlugField(
        _("实验层"), max_length=32, help_text=_("同一层内的实验互斥，例如 feed。")
    )
    status = models.CharField(
        _("状态"), max_length=16, choices=Status.choices, default=Status.DRAFT, editable=False
    )
    traffic_bp = models.PositiveIntegerField(
        _("流量(万分之)"), default=10_000, help_text=_("占该层用户的比例,10000 为全部。")
    )
    buckets = IntegerRangeField(_("占用的桶"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)
    started_at = models.DateTimeField(_("启动时间"), null=True, blank=True, editable=False)
    stopped_at = models.DateTimeField(_("停止时间"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("实验")
        verbose_name_plural = _("实验")
        constraints = [
            models.CheckConstraint(
                condition=Q(traffic_bp__gte=1, traffic_bp__lte=10_000),
                name="experiment_traffic_within_layer",
            ),
            models.CheckConstraint(
                condition=~Q(status="running") | Q(buckets__isnull=False),
                name="experiment_runs_on_buckets",
            ),
            ExclusionConstraint(
                name="experiments_of_a_layer_exclude_each_other",
                expressions=[
                    ("layer", RangeOperators.EQUAL),
                    (F("buckets"), RangeOperators.OVERLAPS),
                ],
                condition=Q(status="running"),
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.key


class Arm(models.Model):
    """One way of doing it, with its share of the experiment's users."""

    experiment = models.ForeignKey(
        Experiment, verbose_name=_("实验"), on_delete=models.CASCADE, related_name="arms"
    )
    name = models.SlugField(_("分组"), max_length=32)
    weight = models.PositiveIntegerField(_("权重"), default=1)

    class Meta:
        verbose_name = _("分组")
        verbose_name_plural = _("分组")
        constraints = [
            models.UniqueConstraint(fields=["experiment", "name"], name="arm_once_per_experiment"),
        ]

    def __str__(self) -> str:
        return self.name


class Exposure(models.Model):
    """The first time that an arm was served to a user: what results are counted from."""

    experiment = models.ForeignKey(
        Experiment, verbose_name=_("实验"), on_delete=models.CASCADE, related_name="exposures"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        related_name="+",
    )
    arm = models.CharField(_("分组"), max_length=32)
    first_at = models.DateTimeField(_("首次曝光时间"), default=clock.now)

    class Meta:
        verbose_name = _("曝光")
        verbose_name_plural = _("曝光")
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "user"], name="exposure_once_per_experiment_user"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.experiment_id}:{self.user_id}:{self.arm}"
