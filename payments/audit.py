"""The invariants that payments answers for (`manage.py audit`)."""
