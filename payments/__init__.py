"""Products, orders, payments, refunds, entitlements and the ledger. Knows opaque scopes only."""
