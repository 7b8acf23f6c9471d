"""The learner's own lists."""

from typing import TYPE_CHECKING, Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from content.selectors import bought_courses
from content.serializers import CoursePage
from feedback import selectors
from feedback.serializers import ContinuePage, OwnedPage
from kernel.api import ApiView, paginate
from kernel.api.pages import broken_cursor, decode_cursor, encode_cursor, read_limit

if TYPE_CHECKING:
    from accounts.models import User

_TAG: Any = [_("我的")]
_PAGE = [
    OpenApiParameter("cursor", OpenApiTypes.STR, description=_("上一页返回的翻页标记")),
    OpenApiParameter("limit", OpenApiTypes.INT, description=_("每页条数，1 至 100")),
]


class ContinueView(ApiView):
    @extend_schema(
        summary=_("继续学习"),
        description=_("已开始但未学完的课程，最近学习的在前。"),
        tags=_TAG,
        parameters=_PAGE,
        responses=ContinuePage,
    )
    def get(self, request: Request) -> Response:
        user = cast("User", request.user)
        rows, cursor = paginate(request, selectors.unfinished(user), order=("-last_at", "-id"))
        return Response({"items": selectors.continue_items(user, rows), "next_cursor": cursor})


class FavouritesView(ApiView):
    @extend_schema(summary=_("我的收藏"), tags=_TAG, parameters=_PAGE, responses=CoursePage)
    def get(self, request: Request) -> Response:
        user = cast("User", request.user)
        rows, cursor = paginate(request, selectors.favourites(user), order=("-created_at", "-id"))
        return Response({"items": selectors.favourite_items(user, rows), "next_cursor": cursor})


class MyCoursesView(ApiView):
    @extend_schema(
        summary=_("我的课程"),
        description=_("购买、获赠或被指派的课程与学习进度，最近获得的在前。"),
        tags=_TAG,
        parameters=_PAGE,
        responses=OwnedPage,
    )
    def get(self, request: Request) -> Response:
        user = cast("User", request.user)
        size = read_limit(request)
        rows = bought_courses(user.pk)
        text = request.query_params.get("cursor")
        if text:
            rows = [row for row in rows if row[0] < _below(text)]
        page = rows[:size]
        cursor = encode_cursor([page[-1][0]]) if len(rows) > size else None
        items = selectors.owned_items(user, [course_id for _pk, course_id in page])
        return Response({"items": items, "next_cursor": cursor})


def _below(text: str) -> int:
    """The right that the last page ended with. Raises `InvalidInput`."""
    values = decode_cursor(text)
    if len(values) != 1 or not isinstance(values[0], int):
        raise broken_cursor()
    return values[0]
