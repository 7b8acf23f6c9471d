"""Shapes of the catalogue's calls. Outputs document the plain dicts that selectors return."""

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from content.models import Course, Lesson
from kernel.api import IdField, StrictSerializer
from payments.serializers.shop import GroupOfferOutput


class CourseQuery(StrictSerializer):
    """Filters of `GET /courses`; each may be left out."""

    category = serializers.CharField(
        required=False, allow_blank=True, max_length=64, help_text=_("分类编号或标识，含下级分类")
    )
    q = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text=_("搜索词")
    )
    tag = serializers.CharField(
        required=False, allow_blank=True, max_length=40, help_text=_("标签")
    )
    creator = IdField(required=False, help_text=_("创作者编号"))
    sort = serializers.ChoiceField(
        required=False,
        choices=["new", "hot", "rating", "price"],
        help_text=_("排序；有搜索词时默认按相关度，否则按热度"),
    )


class SuggestQuery(StrictSerializer):
    q = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text=_("已输入的文字")
    )


class InterestsInput(StrictSerializer):
    interests = serializers.ListField(
        child=serializers.CharField(max_length=64),
        max_length=50,
        help_text=_("所选分类的标识或编号"),
    )


class CategoryRef(StrictSerializer):
    id = IdField()
    name = serializers.CharField()


class CategoryNode(StrictSerializer):
    id = IdField()
    key = serializers.CharField()
    name = serializers.CharField()
    children = serializers.ListField(
        child=serializers.DictField(), help_text=_("下级分类，形状相同")
    )


class CategoryList(StrictSerializer):
    items = CategoryNode(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class CreatorRef(StrictSerializer):
    id = IdField()
    nickname = serializers.CharField()


class CreatorOutput(CreatorRef):
    avatar_url = serializers.CharField()
    bio = serializers.CharField()


class CourseRating(StrictSerializer):
    mean = serializers.FloatField(allow_null=True, help_text=_("平均星级，尚无评分时为空"))
    count = serializers.IntegerField()


class CourseCard(StrictSerializer):
    id = IdField()
    title = serializers.CharField()
    subtitle = serializers.CharField()
    cover_url = serializers.CharField()
    kind = serializers.ChoiceField(choices=Course.Kind.choices)
    category = CategoryRef(allow_null=True)
    creator = CreatorRef(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    price_fen = serializers.IntegerField()
    list_fen = serializers.IntegerField()
    rating = CourseRating()
    lesson_count = serializers.IntegerField()
    learner_count = serializers.IntegerField()
    owned = serializers.BooleanField()
    published_at = serializers.DateTimeField()


class CoursePage(StrictSerializer):
    items = CourseCard(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class LessonLine(StrictSerializer):
    id = IdField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(choices=Lesson.Kind.choices)
    duration_seconds = serializers.IntegerField()
    is_trial = serializers.BooleanField()
    access = serializers.BooleanField(help_text=_("当前用户能否学习"))


class CourseProductOutput(StrictSerializer):
    id = IdField()
    title = serializers.CharField()
    kind = serializers.CharField()
    scope = serializers.CharField()
    price_fen = serializers.IntegerField()
    list_fen = serializers.IntegerField()
    promo_until = serializers.DateTimeField(allow_null=True, help_text=_("限时优惠的结束时间"))
    channels = serializers.ListField(child=serializers.CharField())
    group = GroupOfferOutput(allow_null=True, help_text=_("正在进行的拼团活动"))


class AccessOutput(StrictSerializer):
    granted = serializers.BooleanField()
    source = serializers.CharField(  # type: ignore[assignment]
        allow_null=True, help_text=_("free、trial 或权益来源；无权限时为空")
    )
    valid_until = serializers.DateTimeField(allow_null=True)


class CourseDetail(CourseCard):
    creator = CreatorOutput(allow_null=True)
    status = serializers.ChoiceField(choices=["published", "withdrawn"])
    intro = serializers.CharField(help_text=_("已净化的 HTML"))
    in_membership = serializers.BooleanField()
    duration_seconds = serializers.IntegerField()
    lessons = LessonLine(many=True)
    products = CourseProductOutput(many=True)
    access = AccessOutput()


class WordList(StrictSerializer):
    items = serializers.ListField(child=serializers.CharField())
    next_cursor = serializers.CharField(allow_null=True)


class InterestsOutput(StrictSerializer):
    items = CategoryNode(many=True, help_text=_("可选的兴趣分类"))
    selected = serializers.ListField(child=serializers.CharField(), help_text=_("已选分类的标识"))
    next_cursor = serializers.CharField(allow_null=True)


class SelectedInterests(StrictSerializer):
    interests = serializers.ListField(child=serializers.CharField())
