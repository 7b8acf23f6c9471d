"""Orders, and paying for them."""

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rules import client_address
from kernel import ratelimit
from kernel.api import ApiView, paginate, parse
from kernel.idempotency import idempotent
from payments import selectors
from payments.api.params import KEY, NO, ORDERS, PAGE, user_of
from payments.flows.ending import order_cancel
from payments.flows.paying import order_check, order_pay
from payments.serializers.orders import (
    OrderInput,
    OrderOutput,
    OrdersOutput,
    PayInput,
    PayOutput,
    order_json,
    pay_json,
)
from payments.services.orders import order_make


class OrdersView(ApiView):
    @extend_schema(
        operation_id="orders_list",
        summary=_("我的订单"),
        tags=ORDERS,
        parameters=PAGE,
        responses=OrdersOutput,
    )
    def get(self, request: Request) -> Response:
        orders = selectors.get_orders_for_user(user=user_of(request))
        rows, cursor = paginate(request, orders, order=("-created_at", "-pk"))
        return Response({"items": [order_json(row) for row in rows], "next_cursor": cursor})

    @extend_schema(
        summary=_("下单"),
        description=_("凭 quote_id 下单，或直接给出商品。应付为 0 的订单立即完成。"),
        tags=ORDERS,
        parameters=[KEY],
        request=OrderInput,
        responses={201: OrderOutput},
        examples=[OpenApiExample("凭报价", value={"quote_id": "1"}, request_only=True)],
    )
    @idempotent(route="orders.create")
    def post(self, request: Request) -> Response:
        asked = parse(OrderInput, request.data)
        made = order_make(user=user_of(request), **asked)
        order = selectors.get_order_for_user(user=user_of(request), no=made.no)
        return Response(order_json(order), status=201)


class OrderView(ApiView):
    @extend_schema(summary=_("订单详情"), tags=ORDERS, parameters=[NO], responses=OrderOutput)
    def get(self, request: Request, no: str) -> Response:
        return Response(order_json(selectors.get_order_for_user(user=user_of(request), no=no)))


class OrderCancelView(ApiView):
    @extend_schema(
        summary=_("取消订单"),
        description=_("先在微信支付关单，再释放优惠券与积分；已支付的订单返回 409。"),
        tags=ORDERS,
        parameters=[NO],
        request=None,
        responses=OrderOutput,
    )
    def post(self, request: Request, no: str) -> Response:
        return Response(order_json(order_cancel(user=user_of(request), no=no)))


class OrderPayView(ApiView):
    @extend_schema(
        summary=_("支付订单"),
        description=_(
            "返回交给微信客户端的参数：jsapi 交给 wx.requestPayment，virtual 交给 "
            "wx.requestVirtualPayment，native 为二维码内容，h5 为跳转地址。"
            "到账以微信的通知或查询为准。"
            "虚拟支付需要微信登录状态：返回 401 session_expired 时请重新 wx.login；"
            "没有同价道具时返回 409 virtual_item_missing。"
        ),
        tags=ORDERS,
        parameters=[NO, KEY],
        request=PayInput,
        responses=PayOutput,
        examples=[OpenApiExample("微信支付", value={"channel": "jsapi"}, request_only=True)],
    )
    @idempotent(route="orders.pay", talks=True)
    def post(self, request: Request, no: str) -> Response:
        asked = parse(PayInput, request.data)
        payment, params = order_pay(
            user=user_of(request),
            no=no,
            channel=asked["channel"],
            client_ip=client_address(request.META, settings.KPAY.proxy_hops),
        )
        return Response(pay_json(payment, params))


class OrderCheckView(ApiView):
    @extend_schema(
        summary=_("我已支付"),
        description=_("立即向微信查询；已到账则马上开通。"),
        tags=ORDERS,
        parameters=[NO],
        request=None,
        responses=OrderOutput,
    )
    def post(self, request: Request, no: str) -> Response:
        user = user_of(request)
        ratelimit.hit(f"order-check:{user.pk}", limit=60, seconds=60)
        return Response(order_json(order_check(user=user, no=no)))
