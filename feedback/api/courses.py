"""Ratings and favourites."""

from typing import TYPE_CHECKING, Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from content.rules import rating_mean
from feedback import services
from feedback.serializers import FavouriteOutput, RatingInput, RatingOutput
from kernel.api import ApiView, parse

if TYPE_CHECKING:
    from accounts.models import User

_TAG: Any = [_("反馈")]


class RatingView(ApiView):
    @extend_schema(
        summary=_("评分"),
        description=_("立即影响自己的推荐；学习达到一定比例后才计入公开评分。"),
        tags=_TAG,
        request=RatingInput,
        responses=RatingOutput,
    )
    def put(self, request: Request, course_id: int) -> Response:
        sent = parse(RatingInput, request.data)
        rating = services.rating_set(
            user=cast("User", request.user), course_id=course_id, stars=sent["stars"]
        )
        course = rating.course
        mean = rating_mean(course.rating_sum, course.rating_count)
        return Response(
            {
                "stars": rating.stars,
                "counted": rating.counted,
                "rating": {"mean": mean, "count": course.rating_count},
            }
        )

    @extend_schema(summary=_("撤销评分"), tags=_TAG, responses={204: None})
    def delete(self, request: Request, course_id: int) -> Response:
        services.rating_clear(user=cast("User", request.user), course_id=course_id)
        return Response(status=204)


class FavouriteView(ApiView):
    @extend_schema(summary=_("收藏"), tags=_TAG, request=None, responses=FavouriteOutput)
    def put(self, request: Request, course_id: int) -> Response:
        services.favourite_set(user=cast("User", request.user), course_id=course_id)
        return Response({"favourite": True})

    @extend_schema(summary=_("取消收藏"), tags=_TAG, responses={204: None})
    def delete(self, request: Request, course_id: int) -> Response:
        services.favourite_clear(user=cast("User", request.user), course_id=course_id)
        return Response(status=204)
