"""Money going back, as its buyer sees it."""

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api import ApiView, parse
from kernel.idempotency import idempotent
from payments import selectors
from payments.api.params import KEY, NO, ORDERS, user_of
from payments.serializers.refunds import (
    RefundInput,
    RefundOutput,
    RefundQuoteInput,
    RefundQuoteOutput,
    refund_json,
    refund_quote_json,
)
from payments.services.refunds import refund_request
from payments.services.refunds.quote import refund_quote


class OrderRefundQuoteView(ApiView):
    @extend_schema(
        summary=_("退款试算"),
        description=_(
            "每一行按退款规则和已学比例可退多少，以及对积分、优惠券和学习权限的影响。"
            "可附带 lines 或 amount_fen 试算部分退款。"
        ),
        tags=ORDERS,
        parameters=[NO],
        request=RefundQuoteInput,
        responses=RefundQuoteOutput,
        examples=[OpenApiExample("全部可退", value={}, request_only=True)],
    )
    def post(self, request: Request, no: str) -> Response:
        asked = parse(RefundQuoteInput, request.data)
        order = selectors.get_order_for_user(user=user_of(request), no=no)
        return Response(refund_quote_json(refund_quote(order=order, **asked)))


class OrderRefundsView(ApiView):
    @extend_schema(
        summary=_("申请退款"),
        description=_(
            "不给金额则退规则允许的全部；只给 amount_fen 则按最大余数法分摊到各行。"
            "限额以内自动处理，超出限额等待人工审核。申请成功即占用可退金额，"
            "随后向微信发起；进度以 GET /refunds/{no} 为准。"
        ),
        tags=ORDERS,
        parameters=[NO, KEY],
        request=RefundInput,
        responses={201: RefundOutput},
        examples=[OpenApiExample("全额", value={"reason": "买错了"}, request_only=True)],
    )
    # The answer is what this one transaction made, key and refund together. WeChat is asked by
    # the next sweep, seconds later: asking here too would need a key that commits before the
    # refund does, and a buyer who waits for WeChat to learn no more than "processing".
    @idempotent(route="orders.refund")
    def post(self, request: Request, no: str) -> Response:
        asked = parse(RefundInput, request.data)
        user = user_of(request)
        order = selectors.get_order_for_user(user=user, no=no)
        made = refund_request(order_id=order.pk, by=user, **asked)
        refund = selectors.get_refund_for_user(user=user, no=made.out_refund_no)
        return Response(refund_json(refund), status=201)


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
