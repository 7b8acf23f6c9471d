"""What each feed showed, operators' rules for it, and what learners took out of it."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class FeedRequest(models.Model):
    """What one feed request ranked, for paging, credit and off-policy estimates.

    `items`, `scores` and `propensities` are parallel, best first; the first `served` of them
    have been sent so far.
    """

    request_id = models.UUIDField(_("请求编号"), primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("学员"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    surface = models.CharField(_("场景"), max_length=16)
    course_id = models.BigIntegerField(_("当前课程"), null=True, blank=True)
    model_name = models.CharField(_("模型"), max_length=60)
    model_version = models.CharField(_("模型版本"), max_length=64, blank=True)
    personalised = models.BooleanField(_("个性化"))
    experiment = models.JSONField(_("实验"), default=dict, blank=True)
    items = ArrayField(models.BigIntegerField(), verbose_name=_("课程"), default=list)
    codes = ArrayField(models.SmallIntegerField(), verbose_name=_("来源"), default=list)
    scores = ArrayField(models.FloatField(), verbose_name=_("得分"), default=list)
    propensities = ArrayField(models.FloatField(), verbose_name=_("曝光概率"), default=list)
    served = models.SmallIntegerField(_("已下发"), default=0)
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("推荐记录")
        verbose_name_plural = _("推荐记录")
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            models.Index(F("user"), F("created_at").desc(), name="feedrequest_user_recent")
        ]

    def __str__(self) -> str:
        return str(self.request_id)


class FeedRule(models.Model):
    """An operator's rule for feeds: pin, boost, bury or exclude a course, category or creator."""

    class Action(models.TextChoices):
        PIN = "pin", _("置顶")
        BOOST = "boost", _("加权")
        BURY = "bury", _("降权")
        EXCLUDE = "exclude", _("屏蔽")

    class Target(models.TextChoices):
        COURSE = "course", _("课程")
        CATEGORY = "category", _("分类")
        CREATOR = "creator", _("创作者")

    class Surface(models.TextChoices):
        ALL = "", _("全部场景")
        HOME = "home", _("首页")
        COURSE = "course", _("课程页")
        CHECKOUT = "checkout", _("结算页")
        AFTER_LESSON = "after_lesson", _("学完之后")

    action = models.CharField(_("动作"), max_length=8, choices=Action)
    target = models.CharField(_("对象"), max_length=10, choices=Target, default=Target.COURSE)
    target_id = models.BigIntegerField(_("对象编号"))
    surface = models.CharField(
        _("场景"), max_length=16, choices=Surface, blank=True, default=Surface.ALL
    )
    position = models.PositiveSmallIntegerField(
        _("位置"), default=1, help_text=_("仅用于置顶：从 1 开始的位置")
    )
    strength = models.FloatField(
        _("力度"), default=0.2, help_text=_("仅用于加权与降权：0 到 1，1 表示移到最前或最后")
    )
    starts_at = models.DateTimeField(_("开始时间"), null=True, blank=True)
    ends_at = models.DateTimeField(_("结束时间"), null=True, blank=True)
    active = models.BooleanField(_("启用"), default=True)
    note = models.CharField(_("备注"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("推荐规则")
        verbose_name_plural = _("推荐规则")
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(strength__gte=0) & Q(strength__lte=1), name="feed_rule_strength_share"
            ),
            models.CheckConstraint(
                condition=Q(position__gte=1), name="feed_rule_position_from_one"
            ),
            models.CheckConstraint(
                condition=Q(starts_at__isnull=True)
                | Q(ends_at__isnull=True)
                | Q(ends_at__gt=F("starts_at")),
                name="feed_rule_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.get_target_display()} {self.target_id}"


class TagDeletion(models.Model):
    """A tag the learner took out of their portrait: courses with it no longer speak for them."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("学员"), on_delete=models.CASCADE, related_name="+"
    )
    tag = models.CharField(_("标签"), max_length=80)
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("已删除的兴趣标签")
        verbose_name_plural = _("已删除的兴趣标签")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "tag"], name="tag_deleted_once_per_user")
        ]

    def __str__(self) -> str:
        return self.tag
