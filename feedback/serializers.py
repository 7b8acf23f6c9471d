"""Shapes of feedback's calls."""

from math import isfinite
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from content.models import Lesson
from content.serializers import AccessOutput, CourseCard, CourseRating
from kernel.api import IdField, StrictSerializer

MAX_INTERVALS = 200
MAX_SECONDS = 1_000_000_000


class NumberField(serializers.FloatField):
    """A finite number; JSON has no NaN, but Python reads one from the text "nan"."""

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not isfinite(value):
            self.fail("invalid")
        return value


class IntervalField(serializers.ListField):
    """[from, to] in seconds of the lesson; fractions are rounded to the nearest second."""

    child = NumberField(min_value=0, max_value=MAX_SECONDS)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, list) or len(data) != 2:
            raise serializers.ValidationError(_("区间须为 [起点, 终点]。"))
        start, end = (int(value + 0.5) for value in super().to_internal_value(data))
        if end < start:
            raise serializers.ValidationError(_("区间的终点不能早于起点。"))
        return start, end


class ProgressInput(StrictSerializer):
    session_id = serializers.RegexField(
        r"\A[\x21-\x7e]{1,64}\Z", help_text=_("一次播放会话的标识，由客户端生成")
    )
    seq = serializers.IntegerField(
        min_value=0, max_value=2**31 - 2, help_text=_("会话内的序号，重发时保持不变")
    )
    intervals = serializers.ListField(
        child=IntervalField(), max_length=MAX_INTERVALS, help_text=_("本次上报看过的区间(秒)")
    )
    rate = NumberField(
        required=False, min_value=0.1, max_value=16, help_text=_("播放倍速，默认 1，最多按 3 计")
    )
    position_seconds = NumberField(
        required=False, min_value=0, max_value=MAX_SECONDS, help_text=_("当前播放位置")
    )


class ProgressOutput(StrictSerializer):
    watched_seconds = serializers.IntegerField()
    position_seconds = serializers.IntegerField()
    percent = serializers.IntegerField()
    finished = serializers.BooleanField()


class LessonOutput(StrictSerializer):
    id = IdField()
    course_id = IdField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(choices=Lesson.Kind.choices)
    duration_seconds = serializers.IntegerField()
    is_trial = serializers.BooleanField()
    access = AccessOutput()
    content = serializers.CharField(help_text=_("已净化的 HTML"))
    media_url = serializers.CharField(
        allow_null=True, help_text=_("音视频的签名地址，短时有效且只属于当前用户")
    )
    media_expires_at = serializers.DateTimeField(allow_null=True)
    progress = ProgressOutput()
    previous_id = IdField(allow_null=True)
    next_id = IdField(allow_null=True)


class EventInput(StrictSerializer):
    """Documents one event. The call itself checks each event alone and refuses by code."""

    client_event_id = serializers.CharField(max_length=64)
    type = serializers.ChoiceField(
        choices=[
            *("impression", "click", "view", "play", "complete"),
            *("search", "share", "favourite", "question"),
        ]
    )
    course_id = IdField(required=False)
    lesson_id = IdField(required=False)
    request_id = serializers.UUIDField(required=False)
    position = serializers.IntegerField(required=False)
    value = serializers.FloatField(required=False)
    query = serializers.CharField(required=False)
    occurred_at = serializers.DateTimeField()


class EventsInput(StrictSerializer):
    events = EventInput(many=True, help_text=_("最多 100 条"))


class RejectedEvent(StrictSerializer):
    client_event_id = serializers.CharField(allow_null=True)
    code = serializers.CharField()


class EventsOutput(StrictSerializer):
    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = RejectedEvent(many=True)


class RatingInput(StrictSerializer):
    stars = serializers.IntegerField(min_value=1, max_value=5)


class RatingOutput(StrictSerializer):
    stars = serializers.IntegerField()
    counted = serializers.BooleanField(help_text=_("是否已计入公开评分(学习达到一定比例后计入)"))
    rating = CourseRating(help_text=_("课程的公开评分"))


class FavouriteOutput(StrictSerializer):
    favourite = serializers.BooleanField()


class CourseProgressOutput(StrictSerializer):
    percent = serializers.IntegerField()
    lessons_finished = serializers.IntegerField()
    finished = serializers.BooleanField()
    last_at = serializers.DateTimeField(allow_null=True)


class LessonRef(StrictSerializer):
    id = IdField()
    title = serializers.CharField()


class ContinueItem(CourseProgressOutput):
    course = CourseCard()
    lesson = LessonRef(allow_null=True)
    position_seconds = serializers.IntegerField()


class ContinuePage(StrictSerializer):
    items = ContinueItem(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class OwnedCourse(CourseCard):
    progress = CourseProgressOutput()


class OwnedPage(StrictSerializer):
    items = OwnedCourse(many=True)
    next_cursor = serializers.CharField(allow_null=True)
