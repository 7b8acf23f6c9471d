"""The payment API, by subject."""

from payments.api.orders import (
    OrderCancelView,
    OrderCheckView,
    OrderPayView,
    OrdersView,
    OrderView,
)
from payments.api.refunds import OrderRefundQuoteView, OrderRefundsView, RefundView
from payments.api.shop import PlansView, ProductView, QuoteView

__all__ = [
    "OrderCancelView",
    "OrderCheckView",
    "OrderPayView",
    "OrderRefundQuoteView",
    "OrderRefundsView",
    "OrderView",
    "OrdersView",
    "PlansView",
    "ProductView",
    "QuoteView",
    "RefundView",
]
