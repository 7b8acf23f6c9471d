"""Prices, quotes, orders and paying for them."""

from typing import TYPE_CHECKING, Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import clock, ratelimit
from kernel.api import ApiView, paginate, parse
from kernel.errors import InvalidInput
from kernel.idempotency import idempotent
from payments import selectors
from payments.flows.ending import order_cancel
from payments.flows.paying import order_check, order_pay
from payments.models.products import Platform
from payments.serializers import (
    OrderInput,
    OrderOutput,
    OrdersOutput,
    PayInput,
    PayOutput,
    PlansOutput,
    ProductOutput,
    QuoteInput,
    QuoteOutput,
    RefundOutput,
    order_json,
    pay_json,
    plan_json,
    product_json,
    quote_json,
    refund_json,
)
from payments.services.orders import order_make
from payments.services.quotes import quote_make

if TYPE_CHECKING:
    from accounts.models import User

# drf-stubs want str here; the lazy sentence is rendered with the document.
_SHOP: Any = [_("购买")]
_ORDERS: Any = [_("订单")]
_PLATFORM = OpenApiParameter(
    "platform", enum=Platform.values, description=_("客户端所在平台，缺省为 android")
)
_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description=_("同一操作重试时不变，至多 80 个 ASCII 字符"),
)
_NO = OpenApiParameter("no", OpenApiTypes.STR, OpenApiParameter.PATH, description=_("订单号"))
_PAGE = [
    OpenApiParameter("cursor", description=_("上一页的 next_cursor")),
    OpenApiParameter("limit", OpenApiTypes.INT, description=_("每页条数，至多 100")),
]


def _user(request: Request) -> "User":
    return cast("User", request.user)


def _table(request: Request) -> selectors.ChannelTable:
    """What may be sold where the client says it runs."""
    platform = request.query_params.get("platform", Platform.ANDROID)
    if platform not in Platform.values:
        raise InvalidInput(fields={"platform": [_("平台只能是 ios、android、devtools 或 h5。")]})
    return selectors.channel_table(platform)


class ProductView(ApiView):
    permission_classes = (AllowAny,)

    @extend_schema(
        summary=_("商品与价格"),
        description=_("该平台不可售时 price_fen 为 null、channels 为空。"),
        tags=_SHOP,
        parameters=[_PLATFORM],
        responses=ProductOutput,
    )
    def get(self, request: Request, product_id: int) -> Response:
        product = selectors.get_product(product_id)
        channels = _table(request).channels(product)
        return Response(product_json(product, channels, product.price_at(clock.now())))


class PlansView(ApiView):
    permission_classes = (AllowAny,)

    @extend_schema(summary=_("会员方案"), tags=_SHOP, parameters=[_PLATFORM], responses=PlansOutput)
    def get(self, request: Request) -> Response:
        table, at = _table(request), clock.now()
        plans = selectors.plans_on_sale()
        items = [plan_json(plan, table, plan.product.price_at(at)) for plan in plans]
        return Response({"items": items, "next_cursor": None})


class QuoteView(ApiView):
    @extend_schema(
        summary=_("算价"),
        description=_(
            "按固定顺序给出每一步：原价 → 优惠价 → 会员价 → 一张优惠券 → 积分 → 应付。"
            "有效期内用 quote_id 下单，金额与此完全一致。"
        ),
        tags=_SHOP,
        request=QuoteInput,
        responses=QuoteOutput,
        examples=[
            OpenApiExample(
                "一门课程",
                value={"items": [{"product_id": "1", "quantity": 1}], "platform": "android"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        asked = parse(QuoteInput, request.data)
        return Response(quote_json(quote_make(user=_user(request), **asked)))


class OrdersView(ApiView):
    @extend_schema(
        operation_id="orders_list",
        summary=_("我的订单"),
        tags=_ORDERS,
        parameters=_PAGE,
        responses=OrdersOutput,
    )
    def get(self, request: Request) -> Response:
        orders = selectors.get_orders_for_user(user=_user(request))
        rows, cursor = paginate(request, orders, order=("-created_at", "-pk"))
        return Response({"items": [order_json(row) for row in rows], "next_cursor": cursor})

    @extend_schema(
        summary=_("下单"),
        description=_("凭 quote_id 下单，或直接给出商品。应付为 0 的订单立即完成。"),
        tags=_ORDERS,
        parameters=[_KEY],
        request=OrderInput,
        responses={201: OrderOutput},
        examples=[OpenApiExample("凭报价", value={"quote_id": "1"}, request_only=True)],
    )
    @idempotent(route="orders.create")
    def post(self, request: Request) -> Response:
        asked = parse(OrderInput, request.data)
        made = order_make(user=_user(request), **asked)
        order = selectors.get_order_for_user(user=_user(request), no=made.no)
        return Response(order_json(order), status=201)


class OrderView(ApiView):
    @extend_schema(summary=_("订单详情"), tags=_ORDERS, parameters=[_NO], responses=OrderOutput)
    def get(self, request: Request, no: str) -> Response:
        return Response(order_json(selectors.get_order_for_user(user=_user(request), no=no)))


class OrderCancelView(ApiView):
    @extend_schema(
        summary=_("取消订单"),
        description=_("先在微信支付关单，再释放优惠券与积分；已支付的订单返回 409。"),
        tags=_ORDERS,
        parameters=[_NO],
        request=None,
        responses=OrderOutput,
    )
    def post(self, request: Request, no: str) -> Response:
        return Response(order_json(order_cancel(user=_user(request), no=no)))


class OrderPayView(ApiView):
    @extend_schema(
        summary=_("支付订单"),
        description=_("返回交给微信客户端的参数；到账以微信的通知或查询为准。"),
        tags=_ORDERS,
        parameters=[_NO, _KEY],
        request=PayInput,
        responses=PayOutput,
        examples=[OpenApiExample("微信支付", value={"channel": "jsapi"}, request_only=True)],
    )
    @idempotent(route="orders.pay", talks=True)
    def post(self, request: Request, no: str) -> Response:
        asked = parse(PayInput, request.data)
        payment, params = order_pay(
            user=_user(request),
            no=no,
            channel=asked["channel"],
            client_ip=request.META.get("REMOTE_ADDR", ""),
        )
        return Response(pay_json(payment, params))


class OrderCheckView(ApiView):
    @extend_schema(
        summary=_("我已支付"),
        description=_("立即向微信查询；已到账则马上开通。"),
        tags=_ORDERS,
        parameters=[_NO],
        request=None,
        responses=OrderOutput,
    )
    def post(self, request: Request, no: str) -> Response:
        user = _user(request)
        ratelimit.hit(f"order-check:{user.pk}", limit=60, seconds=60)
        return Response(order_json(order_check(user=user, no=no)))


class RefundView(ApiView):
    @extend_schema(
        summary=_("退款进度"),
        description=_("no 即 out_refund_no；关单后到账或重复支付的款项会自动全额退回。"),
        tags=_ORDERS,
        parameters=[OpenApiParameter("no", OpenApiTypes.STR, OpenApiParameter.PATH)],
        responses=RefundOutput,
    )
    def get(self, request: Request, no: str) -> Response:
        return Response(refund_json(selectors.get_refund_for_user(user=_user(request), no=no)))
