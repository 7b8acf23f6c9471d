"""GET /courses/{id}/similar."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api import ApiView
from kernel.api.pages import read_limit
from recommender.api.callers import learner_or_none
from recommender.api.serializers import SimilarOutput
from recommender.serving.similar import similar_cards

_TAG: Any = [_("推荐")]


class SimilarCoursesView(ApiView):
    """Open to everybody, like the course itself; a learner's own courses are left out."""

    permission_classes = ()

    @extend_schema(
        tags=_TAG,
        summary=_("相似课程"),
        parameters=[
            OpenApiParameter("limit", int, description=_("数量，1 到 50，默认 10")),
        ],
        responses=SimilarOutput,
        operation_id="course_similar",
    )
    def get(self, request: Request, course_id: int) -> Response:
        limit = read_limit(request, default=10, largest=50)
        found = similar_cards(course_id, user=learner_or_none(request), k=limit)
        return Response({"items": found, "next_cursor": None})
