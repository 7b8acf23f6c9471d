"""Tables of payments, by subject."""

from payments.models.bills import BillRow, Discrepancy, Reconciliation
from payments.models.entitlements import Entitlement
from payments.models.gifts import Gift
from payments.models.groups import Group, GroupOffer
from payments.models.invoices import Invoice
from payments.models.ledger import Entry, Journal, LedgerAccount
from payments.models.orders import LineShare, Order, OrderLine, Quote
from payments.models.payments import Payment, Refund, RefundLine, RefundPolicy
from payments.models.platform import Effect, EventHandling, PlatformEvent
from payments.models.products import BundleItem, ChannelRule, Plan, Product, ShareRule, XpayItem

__all__ = [
    "BillRow",
    "BundleItem",
    "ChannelRule",
    "Discrepancy",
    "Effect",
    "Entitlement",
    "Entry",
    "EventHandling",
    "Gift",
    "Group",
    "GroupOffer",
    "Invoice",
    "Journal",
    "LedgerAccount",
    "LineShare",
    "Order",
    "OrderLine",
    "Payment",
    "Plan",
    "PlatformEvent",
    "Product",
    "Quote",
    "Reconciliation",
    "Refund",
    "RefundLine",
    "RefundPolicy",
    "ShareRule",
    "XpayItem",
]
