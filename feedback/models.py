"""What learners do. Fields and constraints only; services write them."""

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from feedback.fields import IntervalsField
from kernel import clock


class Event(models.Model):
    """One interaction: from the client, from a fact on the server, or imported.

    `counted` is False for a rating given before the watched share: it shapes the rater's own
    feed, not public means, points or training labels.
    """

    class Type(models.TextChoices):
        IMPRESSION = "impression", _("曝光")
        CLICK = "click", _("点击")
        VIEW = "view", _("浏览")
        PLAY = "play", _("播放")
        COMPLETE = "complete", _("学完")
        SEARCH = "search", _("搜索")
        SHARE = "share", _("分享")
        FAVOURITE = "favourite", _("收藏")
        QUESTION = "question", _("提问")
        RATING = "rating", _("评分")
        PURCHASE = "purchase", _("购买")

    class Origin(models.TextChoices):
        APP = "app", _("小程序上报")
        SERVER = "server", _("服务器记录")
        IMPORT = "import", _("数据导入")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    client_event_id = models.CharField(  # noqa: DJ001  (NULL: an event that has no identity)
        _("事件标识"), max_length=64, null=True, blank=True
    )
    type = models.CharField(_("类型"), max_length=12, choices=Type.choices)
    course = models.ForeignKey(
        "content.Course",
        verbose_name=_("课程"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
    )
    lesson = models.ForeignKey(
        "content.Lesson",
        verbose_name=_("课时"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    request_id = models.UUIDField(_("推荐请求"), null=True, blank=True)
    position = models.IntegerField(_("位置"), null=True, blank=True)
    value = models.FloatField(_("数值"), null=True, blank=True)
    query = models.CharField(_("搜索词"), max_length=100, blank=True, default="")
    occurred_at = models.DateTimeField(_("发生时间"))
    received_at = models.DateTimeField(_("收到时间"), default=clock.now)
    origin = models.CharField(_("来源"), max_length=6, choices=Origin.choices, default=Origin.APP)
    counted = models.BooleanField(_("计入统计"), default=True)

    class Meta:
        verbose_name = _("行为事件")
        verbose_name_plural = _("行为事件")
        constraints = [
            models.UniqueConstraint(fields=["user", "client_event_id"], name="event_once"),
        ]
        indexes = [
            # The feed's fold-in reads a user's latest interactions from the index alone.
            models.Index(
                fields=["user", "-occurred_at"],
                include=["course", "type", "value"],
                name="event_recent",
                condition=~Q(type="impression"),
            ),
            models.Index(
                fields=["request_id"],
                name="event_request",
                condition=Q(request_id__isnull=False),
            ),
            BrinIndex(fields=["received_at"], name="event_received"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.user_id}→{self.course_id}"


class Rating(models.Model):
    """A learner's stars for a course; `counted` once the watched share was reached."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    course = models.ForeignKey(
        "content.Course", verbose_name=_("课程"), on_delete=models.CASCADE, related_name="+"
    )
    stars = models.PositiveSmallIntegerField(_("星级"))
    counted = models.BooleanField(_("计入公开评分"), default=False)
    created_at = models.DateTimeField(_("评分时间"), default=clock.now)
    updated_at = models.DateTimeField(_("修改时间"), default=clock.now)

    class Meta:
        verbose_name = _("评分")
        verbose_name_plural = _("评分")
        constraints = [
            models.UniqueConstraint(fields=["user", "course"], name="rating_once"),
            models.CheckConstraint(
                name="rating_one_to_five", condition=Q(stars__gte=1) & Q(stars__lte=5)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.course_id}: {self.stars}"


class Favourite(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    course = models.ForeignKey(
        "content.Course", verbose_name=_("课程"), on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField(_("收藏时间"), default=clock.now)

    class Meta:
        verbose_name = _("收藏")
        verbose_name_plural = _("收藏")
        constraints = [models.UniqueConstraint(fields=["user", "course"], name="favourite_once")]

    def __str__(self) -> str:
        return f"{self.user_id}→{self.course_id}"


class CourseHide(models.Model):
    """The learner said "not interested" or "less like this" about a course in the feed."""

    class Action(models.TextChoices):
        NOT_INTERESTED = "not_interested", _("不感兴趣")
        LESS_LIKE_THIS = "less_like_this", _("减少此类推荐")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    course = models.ForeignKey(
        "content.Course", verbose_name=_("课程"), on_delete=models.CASCADE, related_name="+"
    )
    action = models.CharField(_("操作"), max_length=16, choices=Action.choices)
    request_id = models.UUIDField(_("推荐请求"), null=True, blank=True)
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("不感兴趣")
        verbose_name_plural = _("不感兴趣")
        constraints = [models.UniqueConstraint(fields=["user", "course"], name="hide_once")]

    def __str__(self) -> str:
        return f"{self.user_id}→{self.course_id}"


class CourseProgress(models.Model):
    """One learner in one course. Its row lock orders heartbeats and ratings of the pair.

    `started_at` is set by the first lesson opened or by the purchase, whichever is first: that
    is what `Course.learner_count` counts. `watched_seconds` is the sum over its lessons.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    course = models.ForeignKey(
        "content.Course", verbose_name=_("课程"), on_delete=models.CASCADE, related_name="+"
    )
    started_at = models.DateTimeField(_("开始学习"), null=True, blank=True)
    last_at = models.DateTimeField(_("最近学习"), null=True, blank=True)
    last_lesson = models.ForeignKey(
        "content.Lesson",
        verbose_name=_("最近课时"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    watched_seconds = models.PositiveIntegerField(_("已学秒数"), default=0)
    lessons_finished = models.PositiveIntegerField(_("学完课时"), default=0)
    finished_at = models.DateTimeField(_("学完时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("课程进度")
        verbose_name_plural = _("课程进度")
        constraints = [
            models.UniqueConstraint(fields=["user", "course"], name="course_progress_once"),
        ]
        indexes = [
            models.Index(
                fields=["user", "-last_at"],
                name="course_progress_recent",
                condition=Q(last_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}→{self.course_id}"


class LessonProgress(models.Model):
    """The union of what a learner watched of a lesson, over all devices.

    `credit_ms` is what the server's clock still allows beyond the time that passes: 15 s when
    the lesson is first opened, never more than 15 s carried from one heartbeat to the next.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    course = models.ForeignKey("content.Course", on_delete=models.CASCADE, related_name="+")
    lesson = models.ForeignKey(
        "content.Lesson", verbose_name=_("课时"), on_delete=models.CASCADE, related_name="+"
    )
    opened_at = models.DateTimeField(_("首次打开"))
    clock_at = models.DateTimeField(_("最近心跳"))
    credit_ms = models.IntegerField(_("剩余额度(毫秒)"))
    intervals = IntervalsField(_("已学区间"), default=list)
    watched_seconds = models.PositiveIntegerField(_("已学秒数"), default=0)
    position_seconds = models.PositiveIntegerField(_("播放位置(秒)"), default=0)
    percent = models.PositiveSmallIntegerField(_("进度(%)"), default=0)
    finished_at = models.DateTimeField(_("学完时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("课时进度")
        verbose_name_plural = _("课时进度")
        constraints = [
            models.UniqueConstraint(fields=["user", "lesson"], name="lesson_progress_once"),
            models.CheckConstraint(
                name="lesson_progress_percent", condition=Q(percent__gte=0) & Q(percent__lte=100)
            ),
        ]
        indexes = [models.Index(fields=["user", "course"], name="lesson_progress_course")]

    def __str__(self) -> str:
        return f"{self.user_id}→{self.lesson_id}: {self.percent}%"


class ProgressSession(models.Model):
    """The heartbeats of one player session that were handled already, as a set of numbers."""

    progress = models.ForeignKey(LessonProgress, on_delete=models.CASCADE, related_name="sessions")
    session_id = models.CharField(_("会话"), max_length=64)
    seqs = IntervalsField(_("已处理序号"), default=list)
    started_at = models.DateTimeField(_("开始时间"), default=clock.now)
    last_at = models.DateTimeField(_("最近心跳"), default=clock.now)

    class Meta:
        verbose_name = _("播放会话")
        verbose_name_plural = _("播放会话")
        constraints = [
            models.UniqueConstraint(
                fields=["progress", "session_id"], name="progress_session_once"
            ),
        ]

    def __str__(self) -> str:
        return self.session_id
