"""`/points`: the balance, its entries, and the daily check-in."""

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from incentives import selectors, services
from incentives.api import caller_id
from incentives.models import PointEntry
from kernel.api import ApiView, IdField, StrictSerializer, paginate

# drf-stubs want str here; the lazy sentence is rendered with the document.
TAGS: Any = [_("积分")]


class ExpiringOutput(StrictSerializer):
    points = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class PointsOutput(StrictSerializer):
    balance = serializers.IntegerField(help_text=_("现在可用的积分"))
    expiring = ExpiringOutput(many=True, help_text=_("30 天内到期的积分，先到期的在前"))
    checked_in_today = serializers.BooleanField(help_text=_("今天（上海时间）是否已签到"))
    streak = serializers.IntegerField(help_text=_("截至今天的连续签到天数，今天未签到为 0"))
    value_fen = serializers.IntegerField(help_text=_("1 积分可抵扣的金额（分）"))
    cap_bp = serializers.IntegerField(help_text=_("单笔订单积分最多抵扣应付金额的万分之几"))


class PointEntryOutput(StrictSerializer):
    id = IdField()
    delta = serializers.IntegerField(help_text=_("正数为增加，负数为减少"))
    kind = serializers.ChoiceField(choices=PointEntry.Kind.choices)
    ref = serializers.CharField(help_text=_("业务单号"))
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class PointEntriesOutput(StrictSerializer):
    items = PointEntryOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class CheckInOutput(StrictSerializer):
    day = serializers.DateField(help_text=_("签到日期（上海时间）"))
    streak = serializers.IntegerField(help_text=_("连续签到天数"))
    points = serializers.IntegerField(help_text=_("当天签到获得的积分"))
    already = serializers.BooleanField(help_text=_("此前已签到，本次没有重复发放"))
    balance = serializers.IntegerField(help_text=_("现在可用的积分"))


class PointsView(ApiView):
    @extend_schema(
        tags=TAGS,
        summary=_("积分余额与即将到期的积分"),
        responses=PointsOutput,
        examples=[
            OpenApiExample(
                "points",
                value={
                    "balance": 120,
                    "expiring": [{"points": 20, "expires_at": "2026-12-01T00:00:00+08:00"}],
                    "checked_in_today": True,
                    "streak": 3,
                    "value_fen": 1,
                    "cap_bp": 3000,
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        user_id = caller_id(request)
        today = selectors.check_in_today(user_id)
        facts: dict[str, Any] = {
            "balance": selectors.points_balance(user_id),
            "expiring": [
                {"points": lot.remaining, "expires_at": lot.expires_at}
                for lot in selectors.points_expiring(user_id)
            ],
            "checked_in_today": today is not None,
            "streak": today.streak if today is not None else 0,
            "value_fen": settings.KPAY.points_value_fen,
            "cap_bp": settings.KPAY.points_cap_bp,
        }
        return Response(PointsOutput(facts).data)


class PointEntriesView(ApiView):
    @extend_schema(
        tags=TAGS,
        summary=_("积分流水，新的在前"),
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=PointEntriesOutput,
    )
    def get(self, request: Request) -> Response:
        rows, cursor = paginate(
            request,
            selectors.get_entries_for_user(user_id=caller_id(request)),
            order=("-created_at", "-pk"),
        )
        return Response(PointEntriesOutput({"items": rows, "next_cursor": cursor}).data)


class CheckInView(ApiView):
    @extend_schema(
        tags=TAGS,
        summary=_("每日签到，重复调用不会重复发放"),
        request=None,
        responses=CheckInOutput,
    )
    def post(self, request: Request) -> Response:
        done = services.check_in(caller_id(request))
        facts = {
            "day": done.day,
            "streak": done.streak,
            "points": done.points,
            "already": done.already,
            "balance": selectors.points_balance(caller_id(request)),
        }
        return Response(CheckInOutput(facts).data)
