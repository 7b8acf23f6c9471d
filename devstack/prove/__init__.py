"""Longer proofs of what the house promises, each a command: `python -m devstack prove NAME`."""
