"""Plants for the invariants of payments: see `kernel.selftest`."""

from payments.selftest import evidence, ledger, money, orders

__all__ = ["evidence", "ledger", "money", "orders"]
