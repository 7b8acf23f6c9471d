"""Buying together."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api import ApiView, IdField, StrictSerializer, paginate, parse
from kernel.idempotency import idempotent
from payments import selectors, selling
from payments.api.params import KEY, PAGE, user_of
from payments.models import Group, Order
from payments.serializers.groups import (
    GroupInput,
    GroupOffersOutput,
    GroupOrderOutput,
    GroupOutput,
    JoinInput,
    group_json,
    offer_json,
)
from payments.serializers.orders import order_json
from payments.services.groups import group_join, group_start

GROUPS: Any = [_("拼团")]
GROUP = OpenApiParameter("group_id", OpenApiTypes.INT, OpenApiParameter.PATH)


class OffersQuery(StrictSerializer):
    product_id = IdField(required=False, help_text=_("只看这件商品"))


class GroupOffersView(ApiView):
    permission_classes = (AllowAny,)

    @extend_schema(
        summary=_("拼团活动"),
        tags=GROUPS,
        parameters=[OpenApiParameter("product_id", description=_("只看这件商品")), *PAGE],
        responses=GroupOffersOutput,
    )
    def get(self, request: Request) -> Response:
        asked = parse(OffersQuery, request.query_params)
        offers = selling.offers_on_sale().filter(**asked)
        rows, cursor = paginate(request, offers)
        return Response({"items": [offer_json(row) for row in rows], "next_cursor": cursor})


class GroupsView(ApiView):
    @extend_schema(
        summary=_("开团"),
        description=_("以拼团价下单；付款即可学习，限时内未成团自动全额退款。拼团不能用优惠券。"),
        tags=GROUPS,
        parameters=[KEY],
        request=GroupInput,
        responses={201: GroupOrderOutput},
        examples=[
            OpenApiExample(
                "开团", value={"product_id": "1", "platform": "android"}, request_only=True
            )
        ],
    )
    @idempotent(route="groups.create")
    def post(self, request: Request) -> Response:
        asked = parse(GroupInput, request.data)
        return _reply(request, *group_start(user=user_of(request), **asked))


class GroupView(ApiView):
    @extend_schema(summary=_("拼团详情"), tags=GROUPS, parameters=[GROUP], responses=GroupOutput)
    def get(self, request: Request, group_id: int) -> Response:
        group = selling.get_group(group_id)
        return Response(group_json(group, selling.group_members(group)))


class GroupJoinView(ApiView):
    @extend_schema(
        summary=_("参团"),
        tags=GROUPS,
        parameters=[GROUP, KEY],
        request=JoinInput,
        responses={201: GroupOrderOutput},
        examples=[OpenApiExample("参团", value={"platform": "android"}, request_only=True)],
    )
    @idempotent(route="groups.join")
    def post(self, request: Request, group_id: int) -> Response:
        asked = parse(JoinInput, request.data)
        return _reply(request, *group_join(user=user_of(request), group_id=group_id, **asked))


def _reply(request: Request, made: Group, order: Order) -> Response:
    group = selling.get_group(made.pk)
    mine = selectors.get_order_for_user(user=user_of(request), no=order.no)
    reply = {"group": group_json(group, selling.group_members(group)), "order": order_json(mine)}
    return Response(reply, status=201)
