"""Redeem codes are kept as hashes."""

from kernel.personal import Form, register

register("incentives_redeemcode", Form.HASH, "code_hash")
