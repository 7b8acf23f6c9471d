"""Operators' pages of payments. Money is evidence: read only; changes go through services."""

from payments.admin import (
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
    "channels",
    "ledger",
    "orders",
    "platform",
    "products",
    "refund_rules",
    "refunds",
    "selling",
]
