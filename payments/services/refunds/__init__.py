"""Money that goes back, by subject: who asks for it, who decides, what the platform says to it
and what follows. Each state change is one transaction; the platform is asked by the flows."""

from payments.services.refunds.adopt import refund_adopt
from payments.services.refunds.approval import (
    refund_approve,
    refund_ask_again,
    refund_close,
    refund_redirect_note,
    refund_redirected,
    refund_reject,
)
from payments.services.refunds.outcome import (
    check_refund_facts,
    next_refund_check,
    refund_backoff,
    refund_claim,
    refund_refused,
    refund_told,
    refund_waits,
)
from payments.services.refunds.request import refund_by_shop, refund_request
from payments.services.refunds.stray import STRAY, stray_refund

__all__ = [
    "STRAY",
    "check_refund_facts",
    "next_refund_check",
    "refund_adopt",
    "refund_approve",
    "refund_ask_again",
    "refund_backoff",
    "refund_by_shop",
    "refund_claim",
    "refund_close",
    "refund_redirect_note",
    "refund_redirected",
    "refund_refused",
    "refund_reject",
    "refund_request",
    "refund_told",
    "refund_waits",
    "stray_refund",
]
