"""Operators' pages of payments. Money is evidence: read only; changes go through services."""

from payments.admin import (
    bills,
    channels,
    ledger,
    orders,
    platform,
    products,
    refund_rules,
    refunds,
    selling,
)

__all__ = [
    "bills",
    "channels",
    "ledger",
    "orders",
    "platform",
    "products",
    "refund_rules",
    "refunds",
    "selling",
]
