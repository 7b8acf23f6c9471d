"""Products, plans and what they cost."""

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import clock
from kernel.api import ApiView, parse
from payments import selectors
from payments.api.params import PLATFORM, SHOP, table_of, user_of
from payments.models import Product
from payments.selling import bundle_contents, group_offers, sellable_bundle
from payments.serializers.shop import (
    PlansOutput,
    ProductOutput,
    QuoteInput,
    QuoteOutput,
    plan_json,
    product_json,
    quote_json,
)
from payments.services.quotes import quote_ask


class ProductView(ApiView):
    permission_classes = (AllowAny,)

    @extend_schema(
        summary=_("商品与价格"),
        description=_("该平台不可售时 price_fen 为 null、channels 为空。"),
        tags=SHOP,
        parameters=[PLATFORM],
        responses=ProductOutput,
    )
    def get(self, request: Request, product_id: int) -> Response:
        product = selectors.get_product(product_id)
        channels = table_of(request).channels(product)
        contents: list[Product] = []
        if product.kind == Product.Kind.BUNDLE:
            contents = bundle_contents([product.pk])[product.pk]
            channels = channels if sellable_bundle(contents) else []
        offer = group_offers([product.pk]).get(product.pk)
        return Response(
            product_json(product, channels, clock.now(), offer=offer, contents=contents)
        )


class PlansView(ApiView):
    permission_classes = (AllowAny,)

    @extend_schema(summary=_("会员方案"), tags=SHOP, parameters=[PLATFORM], responses=PlansOutput)
    def get(self, request: Request) -> Response:
        table, at = table_of(request), clock.now()
        plans = selectors.plans_on_sale()
        items = [plan_json(plan, table, plan.product.price_at(at)) for plan in plans]
        return Response({"items": items, "next_cursor": None})


class QuoteView(ApiView):
    @extend_schema(
        summary=_("算价"),
        description=_(
            "按固定顺序给出每一步：原价 → 优惠价（套餐优惠）→ 限时优惠 → 会员价 → 一张优惠券 → "
            "积分 → 应付。套餐按内含商品拆成多行。best 为更省的优惠券与积分组合。"
            "有效期内用 quote_id 下单，金额与此完全一致。"
        ),
        tags=SHOP,
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
        return Response(quote_json(*quote_ask(user=user_of(request), **asked)))
