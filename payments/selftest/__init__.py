"""Plants for the invariants of payments: see `kernel.selftest`."""

from payments.selftest import bills, evidence, ledger, money, orders

__all__ = ["bills", "evidence", "ledger", "money", "orders"]
