"""Facts that payments tells the apps above it, through the outbox, after the commit."""

from dataclasses import dataclass
from typing import ClassVar

from kernel.outbox import Event


@dataclass(frozen=True)
class OrderPaid(Event):
    """An order is paid (or was free) and its entitlements exist. Told once per order."""

    kind: ClassVar[str] = "payments.order_paid"
    order_id: int
    order_no: str
    user_id: int
    scopes: list[str]
    payable_fen: int  # money that came; 0 for a free order
    paid_at: str  # ISO 8601 with offset


@dataclass(frozen=True)
class OrderClosed(Event):
    """An order died unpaid; coupon and points were released. `status`: cancelled | closed."""

    kind: ClassVar[str] = "payments.order_closed"
    order_id: int
    order_no: str
    user_id: int
    status: str


@dataclass(frozen=True)
class RefundSucceeded(Event):
    """Money went back. `cause`: user, operator, late_payment, duplicate_payment, platform."""

    kind: ClassVar[str] = "payments.refund_succeeded"
    refund_id: int
    out_refund_no: str
    order_id: int
    order_no: str
    user_id: int
    amount_fen: int
    cause: str


@dataclass(frozen=True)
class EntitlementGranted(Event):
    """A person may use `scope` now. `source`: order, subscription, redeem, gift, …"""

    kind: ClassVar[str] = "payments.entitlement_granted"
    entitlement_id: int
    user_id: int
    scope: str
    source: str
    source_ref: str
