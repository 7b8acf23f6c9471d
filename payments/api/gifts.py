"""Gifts: bought for others, looked at and claimed by their codes."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ratelimit
from kernel.api import ApiView, paginate, parse
from kernel.errors import NotFound
from kernel.idempotency import idempotent
from payments import selectors, selling
from payments.api.params import KEY, PAGE, user_of
from payments.serializers.gifts import (
    GiftClaimOutput,
    GiftInput,
    GiftOrderOutput,
    GiftSeenOutput,
    GiftsOutput,
    claim_json,
    gift_json,
    gift_seen_json,
)
from payments.serializers.orders import order_json
from payments.services.codes import code_hash
from payments.services.gifts import gift_claim, gift_order

GIFTS: Any = [_("赠送")]
CODE = OpenApiParameter(
    "code",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description=_("赠送码；不区分大小写，忽略空格与连字符"),
)


class GiftsView(ApiView):
    @extend_schema(
        operation_id="gifts_list",
        summary=_("我送出的礼品"),
        tags=GIFTS,
        parameters=PAGE,
        responses=GiftsOutput,
    )
    def get(self, request: Request) -> Response:
        gifts = selling.get_gifts_for_user(user=user_of(request))
        rows, cursor = paginate(request, gifts)
        return Response({"items": [gift_json(row) for row in rows], "next_cursor": cursor})

    @extend_schema(
        summary=_("购买礼品"),
        description=_("生成一个订单；支付后每份有一个赠送码，无人领取则到期自动退款。"),
        tags=GIFTS,
        parameters=[KEY],
        request=GiftInput,
        responses={201: GiftOrderOutput},
        examples=[
            OpenApiExample(
                "送两份",
                value={"product_id": "1", "quantity": 2, "platform": "android"},
                request_only=True,
            )
        ],
    )
    @idempotent(route="gifts.create")
    def post(self, request: Request) -> Response:
        user = user_of(request)
        made = gift_order(user=user, **parse(GiftInput, request.data))
        order = selectors.get_order_for_user(user=user, no=made.no)
        gifts = selling.get_gifts_for_user(user=user).filter(line__order=made).order_by("pk")
        reply = {"order": order_json(order), "gifts": [gift_json(gift) for gift in gifts]}
        return Response(reply, status=201)


class GiftView(ApiView):
    @extend_schema(
        summary=_("查看礼品"),
        description=_("只查看，不领取。"),
        tags=GIFTS,
        parameters=[CODE],
        responses=GiftSeenOutput,
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(gift_seen_json(selling.get_gift_by_hash(_hash(request, code))))


class GiftClaimView(ApiView):
    @extend_schema(
        summary=_("领取礼品"),
        description=_("领取后立即开通；同一人重复领取得到相同的回复。"),
        tags=GIFTS,
        parameters=[CODE],
        request=None,
        responses=GiftClaimOutput,
    )
    def post(self, request: Request, code: str) -> Response:
        _hash(request, code)
        return Response(claim_json(gift_claim(user=user_of(request), code=code)))


def _hash(request: Request, code: str) -> bytes:
    """Each guess is counted, right or wrong."""
    ratelimit.hit(f"gift:{user_of(request).pk}", limit=20, seconds=60)
    if len(code) > 64:
        raise NotFound
    return code_hash(code)
