"""Batches of behaviour events."""

from typing import TYPE_CHECKING, Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from feedback import services
from feedback.event_rules import MAX_BATCH
from feedback.serializers import EventsInput, EventsOutput
from kernel.api import ApiView
from kernel.errors import InvalidInput

if TYPE_CHECKING:
    from accounts.models import User

_TAG: Any = [_("反馈")]


class EventsView(ApiView):
    @extend_schema(
        summary=_("批量上报行为事件"),
        description=_(
            "每条事件单独校验：格式不对或课程不存在的列入 rejected 并给出原因，不影响其他事件；"
            "同一用户的 client_event_id 只记一次。search 事件带 query，可以没有课程。"
        ),
        tags=_TAG,
        request=EventsInput,
        responses={202: EventsOutput},
        examples=[
            OpenApiExample(
                "点击推荐的课程",
                value={
                    "events": [
                        {
                            "client_event_id": "e-20250101-1",
                            "type": "click",
                            "course_id": "1",
                            "position": 0,
                            "occurred_at": "2025-01-01T08:00:00+08:00",
                        }
                    ]
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        raw = cast("dict[str, Any]", request.data).get("events")
        if not isinstance(raw, list):
            raise InvalidInput(fields={"events": [_("请提交事件列表。")]})
        if len(raw) > MAX_BATCH:
            raise InvalidInput(fields={"events": [_("一次最多提交 100 条事件。")]})
        done = services.events_record(user_id=cast("User", request.user).pk, raw=raw)
        return Response(
            {"accepted": done.accepted, "duplicate": done.duplicate, "rejected": done.rejected},
            status=202,
        )
