"""The payment API, by subject."""

from payments.api.gifts import GiftClaimView, GiftsView, GiftView
from payments.api.groups import GroupJoinView, GroupOffersView, GroupsView, GroupView
from payments.api.invoices import InvoiceView
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
    "GiftClaimView",
    "GiftView",
    "GiftsView",
    "GroupJoinView",
    "GroupOffersView",
    "GroupView",
    "GroupsView",
    "InvoiceView",
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
