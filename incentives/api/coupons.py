"""`/coupons`: what the user holds, and claiming one more."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from incentives import selectors, services
from incentives.api import caller_id
from incentives.models import Coupon
from kernel.api import ApiView, IdField, StrictSerializer, paginate, parse
from kernel.errors import InvalidInput
from kernel.idempotency import idempotent
from kernel.ratelimit import hit

# drf-stubs want str here; the lazy sentence is rendered with the document.
TAGS: Any = [_("优惠券")]
IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description=_("可选。相同的键重复提交会得到相同的回复。"),
)


class CouponOutput(StrictSerializer):
    id = IdField()
    template_id = IdField()
    title = serializers.CharField(source="template.title")
    discount_fen = serializers.IntegerField(source="value_fen", help_text=_("优惠金额（分）"))
    min_fen = serializers.IntegerField(help_text=_("使用门槛（分）"))
    scopes = serializers.ListField(
        child=serializers.CharField(), source="template.scopes", help_text=_("空为全场通用")
    )
    status = serializers.SerializerMethodField(
        help_text=_("issued 与 released（订单取消后退回）都可使用")
    )
    expires_at = serializers.DateTimeField()
    order_no = serializers.SerializerMethodField()

    def get_status(self, coupon: Coupon) -> str:
        return selectors.coupon_status(coupon)

    def get_order_no(self, coupon: Coupon) -> str | None:
        return coupon.order_no or None


class CouponsOutput(StrictSerializer):
    items = CouponOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ClaimInput(StrictSerializer):
    template_id = IdField(required=False)
    code = serializers.CharField(required=False, max_length=40, help_text=_("领取口令"))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("template_id" in attrs) == ("code" in attrs):
            raise serializers.ValidationError(_("请提供 template_id 或 code 其中之一。"))
        return attrs


class CouponsView(ApiView):
    @extend_schema(
        tags=TAGS,
        summary=_("我的优惠券，新领取的在前"),
        parameters=[
            OpenApiParameter(
                "status", str, enum=Coupon.Status.values, description=_("只看某种状态")
            ),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=CouponsOutput,
    )
    def get(self, request: Request) -> Response:
        coupons = selectors.get_coupons_for_user(user_id=caller_id(request))
        status = request.query_params.get("status")
        if status:
            if status not in Coupon.Status.values:
                raise InvalidInput(fields={"status": [_("没有这种状态。")]})
            coupons = selectors.with_status(coupons, status)
        rows, cursor = paginate(request, coupons, order=("-pk",))
        return Response(CouponsOutput({"items": rows, "next_cursor": cursor}).data)


class ClaimView(ApiView):
    @extend_schema(
        tags=TAGS,
        summary=_("领取优惠券：凭模板编号或口令"),
        parameters=[IDEMPOTENCY],
        request=ClaimInput,
        responses={201: CouponOutput},
        examples=[OpenApiExample("claim", value={"template_id": "1"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        if "code" in request.data:
            # Outside the key's transaction: a wrong guess is counted although it changes nothing.
            hit(f"coupon_code:{caller_id(request)}", limit=10, seconds=60)
        return self._claim(request)

    @idempotent(route="coupons.claim", required=False)
    def _claim(self, request: Request) -> Response:
        said = parse(ClaimInput, request.data)
        coupon = services.coupon_claim(
            user_id=caller_id(request),
            template_id=said.get("template_id"),
            code=said.get("code"),
        )
        return Response(CouponOutput(coupon).data, status=201)
