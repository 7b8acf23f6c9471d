"""GET /feed and what learners say about its courses."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api import ApiView, parse
from kernel.api.pages import read_limit
from recommender.api.callers import learner_of
from recommender.api.serializers import SURFACES, FeedbackInput, FeedInput, FeedOutput
from recommender.services.feedback import feed_feedback
from recommender.serving.feed import first_page, next_page

LARGEST_PAGE = 50
DEFAULT_PAGE = 20
_TAG: Any = [_("推荐")]


class FeedView(ApiView):
    """Personal, unless the learner switched that off; never empty while a course is sold."""

    @extend_schema(
        tags=_TAG,
        summary=_("推荐列表"),
        description=_(
            "按学员最近的行为实时排序，每门课程附带理由。关闭个性化后立即改为非个性化列表。"
        ),
        parameters=[
            FeedInput,
            OpenApiParameter("limit", int, description=_("每页数量，1 到 50，默认 20")),
            OpenApiParameter("cursor", str, description=_("上一页返回的翻页标记")),
        ],
        responses=FeedOutput,
        operation_id="feed",
    )
    def get(self, request: Request) -> Response:
        limit = read_limit(request, default=DEFAULT_PAGE, largest=LARGEST_PAGE)
        query = request.query_params
        # a plain home page needs no serializer: building one takes as long as ranking does
        surface = query.get("surface", "home")
        plain = surface in SURFACES and "course_id" not in query
        asked: dict[str, Any] = {"surface": surface} if plain else parse(FeedInput, query)
        cursor = query.get("cursor")
        if cursor:
            return Response(next_page(learner_of(request), cursor=cursor, limit=limit).as_json())
        page = first_page(
            learner_of(request),
            surface=asked["surface"],
            limit=limit,
            course_id=asked.get("course_id"),
        )
        return Response(page.as_json())


class FeedbackView(ApiView):
    """Works from the next request on."""

    @extend_schema(
        tags=_TAG,
        summary=_("对推荐的反馈"),
        description=_("不感兴趣、减少此类推荐，或撤销；从下一次请求起生效。"),
        request=FeedbackInput,
        responses={204: None},
        operation_id="feed_feedback",
    )
    def post(self, request: Request) -> Response:
        said = parse(FeedbackInput, request.data)
        feed_feedback(user_id=learner_of(request).pk, **said)
        return Response(status=204)
