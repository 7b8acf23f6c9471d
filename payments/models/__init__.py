"""Tables of payments, by subject."""

from payments.models.entitlements import Entitlement
from payments.models.ledger import Entry, Journal, LedgerAccount
from payments.models.orders import Order, OrderLine, Quote
from payments.models.payments import Payment, Refund, RefundLine
from payments.models.platform import Effect, EventHandling, PlatformEvent
from payments.models.products import ChannelRule, Plan, Product

__all__ = [
    "ChannelRule",
    "Effect",
    "Entitlement",
    "Entry",
    "EventHandling",
    "Journal",
    "LedgerAccount",
    "Order",
    "OrderLine",
    "Payment",
    "Plan",
    "PlatformEvent",
    "Product",
    "Quote",
    "Refund",
    "RefundLine",
]
