"""`POST /redeem`: a code opens a course or a membership."""

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from incentives import services
from incentives.api import caller_id
from incentives.api.coupons import IDEMPOTENCY, TAGS
from kernel.api import ApiView, StrictSerializer, parse
from kernel.idempotency import idempotent
from kernel.ratelimit import hit


class RedeemInput(StrictSerializer):
    code = serializers.CharField(max_length=64, help_text=_("兑换码，不区分大小写"))


class RedeemOutput(StrictSerializer):
    scope = serializers.CharField(help_text=_("开通的权益"))
    course_id = serializers.SerializerMethodField(help_text=_("开通的是课程时，它的编号"))
    valid_until = serializers.DateTimeField(allow_null=True, help_text=_("空为长期有效"))

    def get_course_id(self, redeemed: services.Redeemed) -> str | None:
        kind, _sep, number = redeemed.scope.partition(":")
        return number if kind == "course" else None


class RedeemView(ApiView):
    @extend_schema(
        tags=TAGS,
        summary=_("使用兑换码开通课程或会员"),
        parameters=[IDEMPOTENCY],
        request=RedeemInput,
        responses=RedeemOutput,
        examples=[OpenApiExample("redeem", value={"code": "KPAY-2026-GIFT"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        # Outside the key's transaction: a wrong guess is counted although it changes nothing.
        hit(f"redeem:{caller_id(request)}", limit=10, seconds=60)
        return self._redeem(request)

    @idempotent(route="redeem", required=False)
    def _redeem(self, request: Request) -> Response:
        said = parse(RedeemInput, request.data)
        redeemed = services.code_redeem(user_id=caller_id(request), code=said["code"])
        return Response(RedeemOutput(redeemed).data)
