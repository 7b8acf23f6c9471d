"""Shapes of the payment API (contract sections 2 and 9), by subject."""
