"""Courses and what they are made of. Fields and constraints only; services write them."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast, Round
from django.utils.translation import gettext_lazy as _

from kernel import clock


class Category(models.Model):
    """A node of the category tree. `key` is stable across installs; users' interests hold it."""

    key = models.CharField(_("标识"), max_length=64, unique=True)
    name = models.CharField(_("名称"), max_length=32)
    parent = models.ForeignKey(
        "self",
        verbose_name=_("上级分类"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="children",
    )
    position = models.IntegerField(_("排序"), default=0)

    class Meta:
        verbose_name = _("分类")
        verbose_name_plural = _("分类")
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    name = models.CharField(_("名称"), max_length=40, unique=True)

    class Meta:
        verbose_name = _("标签")
        verbose_name_plural = _("标签")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Creator(models.Model):
    """Who teaches. `user` is set when the creator also signs in to KPay."""

    key = models.CharField(_("标识"), max_length=128, unique=True)
    nickname = models.CharField(_("昵称"), max_length=64)
    bio = models.TextField(_("简介"), blank=True, default="")
    avatar_url = models.CharField(_("头像"), max_length=500, blank=True, default="")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("登录账号"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        verbose_name = _("创作者")
        verbose_name_plural = _("创作者")

    def __str__(self) -> str:
        return self.nickname


# Bayesian mean for sorting: ten votes of 3.8 stars stand in for what nobody has said yet, so
# that one five-star vote does not beat a hundred votes of 4.8.
PRIOR_VOTES = 10
PRIOR_MEAN = 3.8


class Course(models.Model):
    """What is shown, sold and learned. Figures at the end are kept by services with F()."""

    class Kind(models.TextChoices):
        COLUMN = "column", _("专栏")
        COURSE = "course", _("课程")
        ARTICLE = "article", _("图文")
        AUDIO_ALBUM = "audio_album", _("音频专辑")
        LECTURE = "lecture", _("讲座")
        BUNDLE = "bundle", _("合集")

    class Status(models.TextChoices):
        DRAFT = "draft", _("草稿")
        REVIEW = "review", _("待审核")
        SCHEDULED = "scheduled", _("待上架")
        PUBLISHED = "published", _("已上架")
        WITHDRAWN = "withdrawn", _("已下架")

    kind = models.CharField(_("形态"), max_length=16, choices=Kind.choices, default=Kind.COURSE)
    status = models.CharField(
        _("状态"), max_length=12, choices=Status.choices, default=Status.DRAFT
    )
    title = models.CharField(_("标题"), max_length=200)
    subtitle = models.CharField(_("副标题"), max_length=200, blank=True, default="")
    intro = models.TextField(_("介绍"), blank=True, default="")
    cover_url = models.CharField(
        _("封面地址"), max_length=500, blank=True, default="", help_text=_("留空则自动生成封面。")
    )
    category = models.ForeignKey(
        Category,
        verbose_name=_("分类"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    creator = models.ForeignKey(
        Creator,
        verbose_name=_("创作者"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="courses",
    )
    tags = models.ManyToManyField(Tag, verbose_name=_("标签"), blank=True, related_name="+")
    tag_names = ArrayField(
        models.CharField(max_length=40), verbose_name=_("标签(卡片)"), default=list, blank=True
    )
    product = models.ForeignKey(
        "payments.Product",
        verbose_name=_("主商品"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    in_membership = models.BooleanField(_("会员可学"), default=False)
    external_key = models.CharField(
        _("外部标识"), max_length=160, unique=True, null=True, blank=True
    )
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)
    publish_at = models.DateTimeField(_("定时上架"), null=True, blank=True)
    published_at = models.DateTimeField(_("上架时间"), null=True, blank=True)
    withdrawn_at = models.DateTimeField(_("下架时间"), null=True, blank=True, editable=False)
    rating_sum = models.FloatField(_("评分合计"), default=0, editable=False)
    rating_count = models.IntegerField(_("评分人数"), default=0, editable=False)
    rating_rank = models.GeneratedField(
        verbose_name=_("评分排序值"),
        expression=Cast(
            Round(
                (F("rating_sum") + PRIOR_VOTES * PRIOR_MEAN)
                * 1000.0
                / (F("rating_count") + PRIOR_VOTES)
            ),
            models.IntegerField(),
        ),
        output_field=models.IntegerField(),
        db_persist=True,
    )
    learner_count = models.IntegerField(_("学习人数"), default=0, editable=False)
    lesson_count = models.IntegerField(_("课时数"), default=0, editable=False)
    duration_seconds = models.IntegerField(_("总时长(秒)"), default=0, editable=False)
    hot_score = models.FloatField(_("热度"), default=0, editable=False)
    search_key = models.CharField(max_length=200, default="", blank=True, editable=False)
    search_vector = SearchVectorField(null=True, editable=False)

    class Meta:
        verbose_name = _("课程")
        verbose_name_plural = _("课程")
        constraints = [
            models.CheckConstraint(
                name="course_published_has_time",
                condition=~Q(status="published") | Q(published_at__isnull=False),
            ),
        ]
        indexes = [
            GinIndex(fields=["search_vector"], name="course_search"),
            GinIndex(fields=["tag_names"], name="course_tags"),
            models.Index(
                fields=["search_key"], name="course_prefix", opclasses=["varchar_pattern_ops"]
            ),
            models.Index(fields=["status", "-published_at", "-id"], name="course_new"),
            models.Index(fields=["status", "-hot_score", "-id"], name="course_hot"),
            models.Index(fields=["status", "-rating_rank", "-id"], name="course_rating"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def scope(self) -> str:
        """The opaque name under which payments grant access to this course."""
        return f"course:{self.pk}"


class Lesson(models.Model):
    """One step of a course. `content` is HTML that has passed the sanitiser."""

    class Kind(models.TextChoices):
        ARTICLE = "article", _("图文")
        AUDIO = "audio", _("音频")
        VIDEO = "video", _("视频")
        DOCUMENT = "document", _("文档")
        LECTURE = "lecture", _("讲座")

    course = models.ForeignKey(
        Course, verbose_name=_("课程"), on_delete=models.CASCADE, related_name="lessons"
    )
    # NULL where no one named it: empty strings would collide in the unique constraint.
    key = models.CharField(_("外部标识"), max_length=160, null=True, blank=True)  # noqa: DJ001
    position = models.IntegerField(_("顺序"), default=0)
    kind = models.CharField(_("形态"), max_length=12, choices=Kind.choices, default=Kind.ARTICLE)
    title = models.CharField(_("标题"), max_length=200)
    is_trial = models.BooleanField(_("可试学"), default=False)
    duration_seconds = models.PositiveIntegerField(
        _("时长(秒)"), default=0, help_text=_("图文可留空，按字数估算阅读时长。")
    )
    content = models.TextField(_("正文"), blank=True, default="")
    media_key = models.CharField(_("媒体文件"), max_length=300, blank=True, default="")

    class Meta:
        verbose_name = _("课时")
        verbose_name_plural = _("课时")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["course", "key"], name="lesson_key_once"),
        ]
        indexes = [models.Index(fields=["course", "position"], name="lesson_order")]

    def __str__(self) -> str:
        return self.title


class SearchTerm(models.Model):
    """How often a query that found something was made, per business day."""

    day = models.DateField(_("日期"))
    key = models.CharField(_("归一化词"), max_length=64)
    query = models.CharField(_("搜索词"), max_length=64)
    times = models.PositiveIntegerField(_("次数"), default=0)

    class Meta:
        verbose_name = _("搜索词")
        verbose_name_plural = _("搜索词")
        constraints = [models.UniqueConstraint(fields=["day", "key"], name="term_once_a_day")]

    def __str__(self) -> str:
        return self.query


class SearchMiss(models.Model):
    """A query that found nothing: what learners want and the shop does not have."""

    key = models.CharField(_("归一化词"), max_length=64, unique=True)
    query = models.CharField(_("搜索词"), max_length=64)
    times = models.PositiveIntegerField(_("次数"), default=0)
    first_at = models.DateTimeField(_("首次出现"), default=clock.now)
    last_at = models.DateTimeField(_("最近出现"), default=clock.now)

    class Meta:
        verbose_name = _("无结果搜索")
        verbose_name_plural = _("无结果搜索")

    def __str__(self) -> str:
        return self.query
