"""Everything the platform remembers, in memory."""

from __future__ import annotations

import base64
import secrets
from collections import deque
from dataclasses import dataclass, field

from wechat_sandbox.billbook import Bill, Ticket
from wechat_sandbox.wire import Json
from wechat_sandbox.xpay.state import XpayState

CALLS_KEPT = 10_000


@dataclass
class Window:
    """A while in which an account may write to a user (A7, C7)."""

    opened_by: str
    until: float
    left: int | None  # None: no count limit


@dataclass
class User:
    """One person, with an openid in the mini-program and one in the official account."""

    openid: str
    oa_openid: str
    unionid: str | None
    session_key: str
    follows_oa: bool = False
    platform: str = "android"
    phone: str = "13800000000"
    subscribe_time: float = 0.0
    seen_at: float = 0.0  # last visit of the mini-program
    login_times: deque[float] = field(default_factory=deque)
    windows: dict[str, list[Window]] = field(default_factory=dict)  # by account kind
    grants: dict[str, int] = field(default_factory=dict)  # template id -> sends left
    old_session_keys: list[str] = field(default_factory=list)

    def refresh_session(self) -> None:
        self.old_session_keys.append(self.session_key)
        self.session_key = new_session_key()

    def openid_in(self, account: str) -> str:
        return self.openid if account == "mp" else self.oa_openid

    def view(self) -> Json:
        return {
            "openid": self.openid,
            "oa_openid": self.oa_openid,
            "unionid": self.unionid,
            "session_key": self.session_key,
            "follows_oa": self.follows_oa,
            "platform": self.platform,
            "phone": self.phone,
        }


@dataclass
class Code:
    """A single-use code: `kind` is login, phone or oauth."""

    kind: str
    user: User
    appid: str
    expires_at: float
    used: bool = False
    extra: Json = field(default_factory=dict)


@dataclass
class Token:
    """An access token of one account. `dead` after a forced refresh."""

    text: str
    account: str
    expires_at: float
    dead: bool = False


@dataclass
class Order:
    """A pay transaction (D3). Amounts are fen, moments are seconds since 1970."""

    out_trade_no: str
    trade_type: str
    arguments: Json
    prepay: Json
    prepay_until: float
    time_expire: float
    created_at: float
    state: str = "NOTPAY"
    transaction_id: str = ""
    success_at: float = 0.0
    paid_at: float = 0.0  # on the platform's clock; `success_at` is on the wire's
    payer_openid: str = ""
    payer_total: int = 0
    coupon_type: str = "CASH"
    attempts: int = 0
    refunds: list[Refund] = field(default_factory=list)

    @property
    def total(self) -> int:
        return int(self.arguments["amount"]["total"])

    @property
    def settlement(self) -> int:
        """What the merchant is owed: only coupons that were given away for nothing lower it."""
        return self.total if self.coupon_type == "CASH" else self.payer_total


@dataclass
class Refund:
    """A refund (D5)."""

    out_refund_no: str
    refund_id: str
    order: Order
    arguments: Json
    amount: int
    payer_amount: int
    created_at: float
    made_at: float  # on the platform's clock
    status: str = "PROCESSING"
    success_at: float = 0.0
    closed_at: float = 0.0
    planned: str = "success"
    by_console: bool = False  # asked for by hand on the merchant console, not by the product
    channel: str = "ORIGINAL"
    received_account: str = "支付用户零钱"
    sent_to: Json = field(default_factory=dict)  # where an abnormal refund was told to go

    @property
    def settlement(self) -> int:
        """The merchant's part; the rest of `amount` was a coupon given away for nothing."""
        return self.amount if self.order.coupon_type == "CASH" else self.payer_amount


@dataclass
class Call:
    """One request that arrived, and its answer."""

    id: int
    at: float
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str
    status: int | None = None
    reply: str = ""
    fault: str | None = None

    def view(self) -> Json:
        return dict(self.__dict__)


@dataclass
class Template:
    """A subscribe-message template: keys with their types, by account."""

    account: str
    template_id: str
    keys: list[str]


@dataclass
class Settings:
    """What a test may turn; `POST /_sandbox/settings` sets any of them."""

    signing: str = "public_key"  # public_key | certificate | mixed
    refund_delay_seconds: float = 1.0
    refund_gap_seconds: float = 60.0
    hold_refunds: bool = False
    merchant_balance_fen: int | None = None  # None: never short; moves with what comes and goes
    skew_seconds: int = 0  # how far the clock that signs and checks signatures runs ahead
    fee_rate_percent: float = 0.6
    opening_balance_fen: int = 1_000_000  # on the account before the first order
    bill_bom: bool = False
    bill_url_seconds: float = 300.0
    ip_whitelist: list[str] | None = None
    quotas: dict[str, int] = field(default_factory=dict)  # path -> calls a day
    oa_bound: bool = True  # False: unionid is never told
    risky_words: list[str] = field(default_factory=lambda: ["赌博", "代开发票", "色情"])
    review_words: list[str] = field(default_factory=lambda: ["加微信", "兼职"])
    # The mini-program's message server, for what the platform itself pushes there.
    mp_push_xml: bool = False
    mp_push_plain: bool = False
    xpay_ios: bool = True  # Apple's way of paying is opened
    # An item that was never uploaded counts as published by hand, at the price it is first sold at.
    xpay_console_items: bool = True
    xpay_quiet_seconds: float = 600.0  # after a publish
    xpay_goods_seconds: float = 1.0  # an upload or publish task takes
    xpay_uploads_at_once: int = 100
    xpay_close_seconds: float = 7200.0  # an order that nobody pays
    xpay_refund_delay_seconds: float = 1.0
    xpay_hold_refunds: bool = False
    xpay_bill_waits: int = 1  # asks for a bill that answer "being made"
    xpay_bill_today: bool = False
    xpay_coin_price_fen: int = 10
    xpay_coin_published: bool = True
    trade_managed: bool = True
    shipping_seconds: float = 10.0  # until a payment is known to order shipping


@dataclass
class State:
    """One sandbox's memory. Touched only while the sandbox's lock is held."""

    settings: Settings = field(default_factory=Settings)
    users: list[User] = field(default_factory=list)
    by_openid: dict[str, User] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    stable: dict[str, Token] = field(default_factory=dict)  # account -> living one
    plain: dict[str, Token] = field(default_factory=dict)
    forced_at: dict[str, float] = field(default_factory=dict)
    counters: dict[tuple[str, str], int] = field(default_factory=dict)
    oauth: dict[str, Json] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    by_transaction: dict[str, Order] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    by_refund_id: dict[str, Refund] = field(default_factory=dict)
    bills: dict[str, Bill] = field(default_factory=dict)  # by day
    bill_tickets: dict[str, Ticket] = field(default_factory=dict)  # by token, oldest first
    planned_refunds: dict[str, str] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    sent: list[Json] = field(default_factory=list)
    pushes: list[Json] = field(default_factory=list)
    xpay: XpayState = field(default_factory=XpayState)
    shippings: dict[str, Json] = field(default_factory=dict)  # by out_trade_no
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT))
    call_ids: int = 0

    def user(self, openid: str) -> User | None:
        return self.by_openid.get(openid)

    def add_user(self, user: User) -> None:
        self.users.append(user)
        self.by_openid[user.openid] = user
        self.by_openid[user.oa_openid] = user

    def count(self, name: str, period: str) -> int:
        """Counts one more of `name` in `period`; returns the count with it."""
        key = (name, period)
        self.counters[key] = self.counters.get(key, 0) + 1
        return self.counters[key]


def new_openid() -> str:
    """28 characters that start with o (section 0)."""
    return "o" + secrets.token_urlsafe(32).replace("-", "A").replace("_", "B")[:27]


def new_session_key() -> str:
    return base64.b64encode(secrets.token_bytes(16)).decode()
