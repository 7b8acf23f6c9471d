"""What the platform remembers of virtual payment. Amounts are fen, moments seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wechat_sandbox.wire import Json

if TYPE_CHECKING:
    from wechat_sandbox.xpay.pushes import Delivery

# Statuses of an order (B3).
CREATED, PAID, DELIVERING, DELIVERED, REFUNDED, CLOSED, REFUND_FAILED = 1, 2, 3, 4, 5, 6, 7
APPLE = "apple"
WXPAY = "wxpay"


@dataclass(eq=False)
class VirtualOrder:
    """A payment that `wx.requestVirtualPayment` placed."""

    out_trade_no: str
    wx_order_id: str
    openid: str
    env: int  # 0 live, 1 sandbox
    mode: str
    product_id: str
    quantity: int
    list_fee: int  # by the published price
    fee: int  # what the user is asked for
    attach: str
    platform: str
    channel: str  # apple | wxpay
    token: str
    created_at: float  # on the wire's clock, as all that is told
    made_at: float  # on the platform's clock
    updated_at: float
    status: int = CREATED
    paid_at: float = 0.0
    provided_at: float = 0.0
    channel_order_id: str = ""
    wxpay_order_id: str = ""
    refund_requests: int = 0
    questions: list[Json] = field(default_factory=list)  # Apple's, with the product's answers

    @property
    def paid(self) -> bool:
        return self.paid_at > 0


@dataclass(eq=False)
class VirtualRefund:
    """A refund of a virtual order; Apple's own have no number of the merchant."""

    number: str
    wx_order_id: str
    order: VirtualOrder
    arguments: Json
    fee: int
    biz_meta: str
    created_at: float
    planned: str = "success"
    status: str = "running"  # running | success | fail
    finished_at: float = 0.0
    back_to: int = DELIVERED  # where the order's status falls when the refund fails
    wxpay_order_id: str = ""


@dataclass(eq=False)
class Item:
    """One item on sale: the uploaded (development) version and the published (live) one."""

    id: str
    name: str
    price: int
    remark: str = ""
    item_url: str = ""
    published_price: int | None = None
    usable_at: float = 0.0  # on the platform's clock: the end of the quiet period


@dataclass(eq=False)
class GoodsTask:
    """The last upload or publish task of an environment."""

    items: list[Json]
    done: bool = False
    failed: bool = False


@dataclass(eq=False)
class Purse:
    """A user's coins in one environment."""

    saved: int = 0  # what is left of bought coins
    present: int = 0
    sum_save: int = 0
    sum_present: int = 0
    sum_cost: int = 0

    @property
    def balance(self) -> int:
        return self.saved + self.present


@dataclass(eq=False)
class CoinPayment:
    """A `currency_pay`, and what of it came back."""

    arguments: Json
    amount: int
    from_present: int
    returned: int = 0
    reply: Json = field(default_factory=dict)


@dataclass
class XpayState:
    """Touched only while the sandbox's lock is held."""

    orders: dict[str, VirtualOrder] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    refunds: dict[str, VirtualRefund] = field(default_factory=dict)
    apple_refunds: list[VirtualRefund] = field(default_factory=list)
    planned_refunds: dict[str, str] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    item_plans: dict[str, Json] = field(default_factory=dict)
    uploads: dict[int, GoodsTask] = field(default_factory=dict)  # by env
    publishes: dict[int, GoodsTask] = field(default_factory=dict)
    bill_asks: dict[str, int] = field(default_factory=dict)
    bill_plans: dict[str, Json] = field(default_factory=dict)  # by day
    bill_files: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    purses: dict[tuple[int, str], Purse] = field(default_factory=dict)
    coin_payments: dict[tuple[int, str], CoinPayment] = field(default_factory=dict)
    coin_calls: dict[tuple[int, str], Json] = field(default_factory=dict)  # presents, returns
    withdrawals: dict[str, Json] = field(default_factory=dict)
    planned_withdrawals: dict[str, str] = field(default_factory=dict)

    def order(self, number: str) -> VirtualOrder | None:
        """By the merchant's number or the platform's."""
        known = self.orders.get(number)
        if known is None:
            known = next((o for o in self.orders.values() if o.wx_order_id == number), None)
        return known

    def refund(self, number: str) -> VirtualRefund | None:
        known = self.refunds.get(number)
        if known is None:
            every = (*self.refunds.values(), *self.apple_refunds)
            known = next((r for r in every if r.wx_order_id == number), None)
        return known

    def refunds_of(self, order: VirtualOrder) -> list[VirtualRefund]:
        every = (*self.refunds.values(), *self.apple_refunds)
        return [item for item in every if item.order is order]

    def left_fee(self, order: VirtualOrder) -> int:
        """What could still be given back: refunds under way count, failed ones do not."""
        if not order.paid:
            return 0
        return order.fee - sum(r.fee for r in self.refunds_of(order) if r.status != "fail")
