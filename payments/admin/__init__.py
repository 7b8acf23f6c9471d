"""Operators' pages of payments. Money is evidence: read only; changes go through services."""

from payments.admin import ledger, orders, platform, products, refund_rules, refunds, selling

__all__ = ["ledger", "orders", "platform", "products", "refund_rules", "refunds", "selling"]
