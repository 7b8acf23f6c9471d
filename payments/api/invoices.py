"""Invoices over what was paid."""

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api import ApiView, parse
from kernel.idempotency import idempotent
from payments import selling
from payments.api.params import KEY, NO, ORDERS, user_of
from payments.serializers.invoices import InvoiceInput, InvoiceOutput, invoice_json
from payments.services.invoices import invoice_request


class InvoiceView(ApiView):
    @extend_schema(
        summary=_("发票申请的进度"), tags=ORDERS, parameters=[NO], responses=InvoiceOutput
    )
    def get(self, request: Request, no: str) -> Response:
        return Response(invoice_json(selling.get_invoice_for_user(user=user_of(request), no=no)))

    @extend_schema(
        summary=_("申请发票"),
        description=_("金额为实付减去已退与退款中的部分；一个订单同时只有一个有效申请。"),
        tags=ORDERS,
        parameters=[NO, KEY],
        request=InvoiceInput,
        responses={201: InvoiceOutput},
        examples=[
            OpenApiExample(
                "个人",
                value={"kind": "personal", "title": "林小满", "email": "lin@example.com"},
                request_only=True,
            )
        ],
    )
    @idempotent(route="invoices.create")
    def post(self, request: Request, no: str) -> Response:
        asked = parse(InvoiceInput, request.data)
        invoice = invoice_request(user=user_of(request), no=no, **asked)
        return Response(invoice_json(invoice), status=201)
