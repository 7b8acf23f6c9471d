"""Money going back, as its buyer sees it."""

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api import ApiView
from payments import selectors
from payments.api.params import ORDERS, user_of
from payments.serializers.refunds import RefundOutput, refund_json


class RefundView(ApiView):
    @extend_schema(
        summary=_("退款进度"),
        description=_("no 即 out_refund_no；关单后到账或重复支付的款项会自动全额退回。"),
        tags=ORDERS,
        parameters=[OpenApiParameter("no", OpenApiTypes.STR, OpenApiParameter.PATH)],
        responses=RefundOutput,
    )
    def get(self, request: Request, no: str) -> Response:
        return Response(refund_json(selectors.get_refund_for_user(user=user_of(request), no=no)))
