"""Reading a lesson, which starts its clock, and reporting what was watched."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from content.models import Lesson
from content.selectors import lesson_for_user
from content.services import play_ticket
from feedback import selectors, services
from feedback.serializers import LessonOutput, ProgressInput, ProgressOutput
from feedback.services.progress import Heartbeat
from kernel.api import ApiView, parse
from kernel.api.fields import rfc3339

if TYPE_CHECKING:
    from accounts.models import User

_TAG: Any = [_("学习")]
PLAYED = frozenset({Lesson.Kind.AUDIO, Lesson.Kind.VIDEO, Lesson.Kind.LECTURE})


class LessonView(ApiView):
    @extend_schema(
        summary=_("学习课时"),
        description=_(
            "返回正文或音视频的签名地址，并开始计时；"
            "无权限时返回 403 access_required，detail.products 为可购买的商品。"
        ),
        tags=_TAG,
        responses=LessonOutput,
    )
    def get(self, request: Request, lesson_id: int) -> Response:
        user = cast("User", request.user)
        lesson, access = lesson_for_user(user, lesson_id)
        progress = services.lesson_opened(user_id=user.pk, lesson=lesson)
        media_url, ends = None, None
        if lesson.media_key or lesson.kind in PLAYED:
            media_url, ends = play_ticket(user_id=user.pk, lesson=lesson)
        before, after = selectors.neighbours(lesson)
        return Response(
            {
                "id": str(lesson.pk),
                "course_id": str(lesson.course_id),
                "title": lesson.title,
                "kind": lesson.kind,
                "duration_seconds": lesson.duration_seconds,
                "is_trial": lesson.is_trial,
                "access": {
                    "granted": True,
                    "source": access.source,
                    "valid_until": rfc3339(access.valid_until),
                },
                "content": lesson.content,
                "media_url": media_url,
                "media_expires_at": ends and rfc3339(datetime.fromtimestamp(ends, UTC)),
                "progress": selectors.progress_view(progress),
                "previous_id": before and str(before),
                "next_id": after and str(after),
            }
        )


class ProgressView(ApiView):
    @extend_schema(
        summary=_("上报学习进度"),
        description=_(
            "服务器保存每人每课时看过区间的并集，并以服务器时钟为上限："
            "自打开课时起经过的时间乘以倍速(最多 3 倍)，另加 15 秒，所有设备合计。"
            "同一 (session_id, seq) 重复上报不产生影响；达到 90% 即为学完。"
            "图文按停留秒数上报，与预计阅读时长比较。"
        ),
        tags=_TAG,
        request=ProgressInput,
        responses=ProgressOutput,
        examples=[
            OpenApiExample(
                "播放了前 15 秒",
                value={
                    "session_id": "s-1",
                    "seq": 1,
                    "intervals": [[0, 15]],
                    "rate": 1.0,
                    "position_seconds": 15,
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request, lesson_id: int) -> Response:
        sent = parse(ProgressInput, request.data)
        last = max((end for _start, end in sent["intervals"]), default=0)
        heartbeat = Heartbeat(
            session_id=sent["session_id"],
            seq=sent["seq"],
            intervals=sent["intervals"],
            position_seconds=int(sent.get("position_seconds", last)),
            rate=sent.get("rate", 1.0),
        )
        progress = services.progress_report(
            user=cast("User", request.user), lesson_id=lesson_id, heartbeat=heartbeat
        )
        return Response(selectors.progress_view(progress))
