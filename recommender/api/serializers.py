"""The shapes that come in and go out (contract sections 2 and 9)."""

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from kernel.api import IdField, StrictSerializer
from recommender.models import FeedRule

SURFACES = ("home", "course", "checkout", "after_lesson")


class FeedInput(StrictSerializer):
    surface = serializers.ChoiceField(
        choices=[(s, FeedRule.Surface(s).label) for s in SURFACES],
        default="home",
        help_text=_("展示场景"),
    )
    course_id = IdField(required=False, help_text=_("当前课程，课程页、结算页与学完之后使用"))


class FeedbackInput(StrictSerializer):
    request_id = serializers.UUIDField(help_text=_("推荐请求编号"))
    course_id = IdField(help_text=_("课程编号"))
    action = serializers.ChoiceField(
        choices=["not_interested", "less_like_this", "undo"], help_text=_("操作")
    )


class NamedOutput(StrictSerializer):
    id = serializers.CharField()
    name = serializers.CharField()


class CreatorNameOutput(StrictSerializer):
    id = serializers.CharField()
    nickname = serializers.CharField()


class RatingMeanOutput(StrictSerializer):
    mean = serializers.FloatField(allow_null=True)
    count = serializers.IntegerField()


class RecommendedCardOutput(StrictSerializer):
    id = serializers.CharField()
    title = serializers.CharField()
    subtitle = serializers.CharField(allow_blank=True)
    cover_url = serializers.CharField(allow_blank=True)
    kind = serializers.CharField()
    category = NamedOutput(allow_null=True)
    creator = CreatorNameOutput(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    price_fen = serializers.IntegerField(allow_null=True)
    list_fen = serializers.IntegerField(allow_null=True)
    rating = RatingMeanOutput()
    lesson_count = serializers.IntegerField()
    learner_count = serializers.IntegerField()
    owned = serializers.BooleanField()
    published_at = serializers.DateTimeField(allow_null=True)


class ReasonOutput(StrictSerializer):
    code = serializers.CharField(
        help_text=_("because_you_liked、popular、new、similar、interest 或 pinned")
    )
    text = serializers.CharField(help_text=_("给学员看的一句话"))
    because = serializers.ListField(
        child=serializers.CharField(), help_text=_("作为依据的课程编号")
    )


class FeedItemOutput(StrictSerializer):
    course = RecommendedCardOutput()
    position = serializers.IntegerField(help_text=_("在整个列表中的位置，从 1 开始"))
    reason = ReasonOutput()


class FeedModelOutput(StrictSerializer):
    name = serializers.CharField(help_text=_("模型名；没有模型时为 popular 或 newest"))
    version = serializers.CharField(allow_blank=True)


class FeedOutput(StrictSerializer):
    request_id = serializers.UUIDField()
    personalised = serializers.BooleanField()
    model = FeedModelOutput()
    experiment = serializers.DictField(child=serializers.CharField())
    items = FeedItemOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class SimilarOutput(StrictSerializer):
    items = RecommendedCardOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class InterestTagOutput(StrictSerializer):
    tag = serializers.CharField()
    kind = serializers.CharField(help_text=_("category 或 tag"))
    source = serializers.CharField(  # type: ignore[assignment]
        help_text=_("declared 为自己选择，behaviour 为学习行为")
    )
    weight = serializers.FloatField(help_text=_("相对强度，0 到 1"))


class InterestTagsOutput(StrictSerializer):
    items = InterestTagOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class OfferOutput(StrictSerializer):
    id = serializers.CharField()
    kind = serializers.CharField(help_text=_("coupon、points_task、bundle 或 membership_trial"))
    title = serializers.CharField()
    rule_text = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    claim_url = serializers.CharField()


class OffersOutput(StrictSerializer):
    items = OfferOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
