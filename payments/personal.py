"""What payments holds of people: payers, what they wrote to each other, where invoices go."""

from kernel.personal import Form, register

_BUYER = "(SELECT o.user_id FROM payments_order o WHERE o.id = t.order_id)"
_GIVER = (
    "(SELECT o.user_id FROM payments_order o"
    " JOIN payments_orderline l ON l.order_id = o.id WHERE l.id = t.line_id)"
)

register(
    "payments_payment",
    Form.PERSONAL,
    "payer_openid",
    owner=_BUYER,
)
register("payments_payment", Form.MACHINE, "prepared")
register("payments_eventhandling", Form.MACHINE, "facts", "last_error")
register("payments_refund", Form.MACHINE, "last_error")
register("payments_orderline", Form.PERSONAL, "message", owner=_BUYER)
# Codes that are given away: found by hash, shown to their buyer from what is sealed.
register("payments_gift", Form.HASH, "code_hash")
register("payments_gift", Form.SEALED, "code_sealed")
register("payments_gift", Form.PERSONAL, "message", owner=_GIVER)
register("payments_invoice", Form.PERSONAL, "title", "tax_no", "email", "note", owner=_BUYER)
register("payments_reconciliation", Form.MACHINE, "last_error")
register("payments_xpayitem", Form.MACHINE, "last_error")
