"""Longer proofs, each with a command of its own: `python -m devstack prove NAME [--options]`."""
