"""Categories, courses, search: open to everybody, personal for those who signed in."""

from typing import TYPE_CHECKING, Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from content import selectors, services
from content.serializers import (
    CategoryList,
    CourseDetail,
    CoursePage,
    CourseQuery,
    InterestsInput,
    InterestsOutput,
    SelectedInterests,
    SuggestQuery,
    WordList,
)
from kernel.api import ApiView, paginate, parse

if TYPE_CHECKING:
    from accounts.models import User

_TAG: Any = [_("内容")]
_ME_TAG: Any = [_("我的")]
_CURSOR = OpenApiParameter("cursor", OpenApiTypes.STR, description=_("上一页返回的翻页标记"))
_LIMIT = OpenApiParameter("limit", OpenApiTypes.INT, description=_("每页条数，1 至 100"))


class PublicView(ApiView):
    """Works without a token; a token that is sent must be valid."""

    permission_classes = ()


def caller(request: Request) -> "User | None":
    """Who asks, None for a guest."""
    return cast("User | None", request.user)


class CategoriesView(PublicView):
    @extend_schema(summary=_("分类树"), tags=_TAG, responses=CategoryList)
    def get(self, request: Request) -> Response:
        return Response({"items": selectors.category_tree(), "next_cursor": None})


class CoursesView(PublicView):
    @extend_schema(
        operation_id="courses_list",
        summary=_("课程列表与搜索"),
        description=_("可按分类、标签、创作者筛选并排序；搜索词没有结果时会记录给运营人员。"),
        tags=_TAG,
        parameters=[CourseQuery, _CURSOR, _LIMIT],
        responses=CoursePage,
    )
    def get(self, request: Request) -> Response:
        wanted = parse(CourseQuery, request.query_params)
        text = wanted.get("q", "").strip()
        courses, order = selectors.find_courses(
            category=wanted.get("category", ""),
            text=text,
            tag=wanted.get("tag", ""),
            creator_id=wanted.get("creator"),
            sort=wanted.get("sort", ""),
        )
        rows, cursor = paginate(request, courses, order=order)
        if text and not request.query_params.get("cursor"):
            services.search_noted(query=text, found=bool(rows))
        user = caller(request)
        owned = selectors.owned_course_ids(user.pk) if user and rows else set()
        items = selectors.cards([row.pk for row in rows], owned=owned)
        return Response({"items": items, "next_cursor": cursor})


class CourseView(PublicView):
    @extend_schema(
        summary=_("课程详情"),
        description=_("含课时、商品与当前用户的学习权限；已下架课程仅对已拥有者可见。"),
        tags=_TAG,
        responses=CourseDetail,
    )
    def get(self, request: Request, course_id: int) -> Response:
        return Response(selectors.course_detail(caller(request), course_id))


class SuggestView(PublicView):
    @extend_schema(summary=_("搜索联想"), tags=_TAG, parameters=[SuggestQuery], responses=WordList)
    def get(self, request: Request) -> Response:
        wanted = parse(SuggestQuery, request.query_params)
        items = selectors.suggestions(wanted.get("q", ""))
        return Response({"items": items, "next_cursor": None})


class HotSearchView(PublicView):
    @extend_schema(summary=_("热门搜索"), tags=_TAG, responses=WordList)
    def get(self, request: Request) -> Response:
        return Response({"items": selectors.hot_terms(), "next_cursor": None})


class InterestsView(ApiView):
    @extend_schema(
        operation_id="interests_retrieve",
        summary=_("可选兴趣"),
        tags=_ME_TAG,
        responses=InterestsOutput,
    )
    def get(self, request: Request) -> Response:
        user = cast("User", request.user)
        return Response(
            {
                "items": selectors.category_tree(),
                "selected": list(user.interests),
                "next_cursor": None,
            }
        )


class MyInterestsView(ApiView):
    @extend_schema(
        summary=_("选择兴趣"),
        description=_("整体替换已选的兴趣分类，下一次推荐即生效。"),
        tags=_ME_TAG,
        request=InterestsInput,
        responses=SelectedInterests,
    )
    def put(self, request: Request) -> Response:
        user = cast("User", request.user)
        wanted = parse(InterestsInput, request.data)
        return Response({"interests": services.interests_set(user=user, names=wanted["interests"])})
