"""Answers of virtual payment as typed values (B3). Amounts are fen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Literal, TypeVar

from kernel.errors import InvalidInput

E = TypeVar("E", bound=IntEnum)

_LAST_SECOND = 2**32


class OrderStatus(IntEnum):
    """After `refund_order` an order reads REFUNDED at once and may fall back to DELIVERED."""

    INIT = 0  # not made: nobody can pay it
    CREATED = 1
    PAID = 2  # to be delivered
    DELIVERING = 3
    DELIVERED = 4
    REFUNDED = 5
    CLOSED = 6
    REFUND_FAILED = 7
    USER_REFUNDED = 8
    ADVERTISING_RECOVERED = 9
    SHARE_RETURNED = 10


class OrderType(IntEnum):
    """What `query_order` found under a number: a payment or a refund, WeChat's or Apple's."""

    PAYMENT = 0
    REFUND = 1
    APPLE_PAYMENT = 7
    APPLE_REFUND = 8


class RefundReason(IntEnum):
    NONE = 0
    PRODUCT = 1
    SERVICE = 2
    USER_WISH = 3
    PRICE = 4
    OTHER = 5


class TaskStatus(IntEnum):
    """A batch of items being uploaded or published."""

    NONE = 0
    RUNNING = 1
    FAILED = 2  # wholly or in part; it has ended
    DONE = 3


class ItemStatus(IntEnum):
    RUNNING = 0
    EXISTS = 1
    DONE = 2
    FAILED = 3


@dataclass(frozen=True)
class VirtualOrder:
    """An order as the platform sees it. Nothing is checked against ours but the number.

    `env` is 0 live or 1 sandbox as everywhere else (the answer counts from 1). `left_fen` is what
    may still be refunded. Fees are None until the order is settled. For a refund's number the
    same fields tell of the refund (`refund_fen`, `order_type` REFUND).
    """

    out_trade_no: str
    wx_order_id: str
    channel_order_id: str
    wxpay_order_id: str
    status: OrderStatus
    order_type: int  # see OrderType; a kind that we do not know is no reason to lose the rest
    order_fen: int
    paid_fen: int
    coupon_fen: int
    left_fen: int
    refund_fen: int
    platform_fee_fen: int | None
    cps_fee_fen: int | None
    env: int | None
    created_at: datetime | None
    paid_at: datetime | None
    provided_at: datetime | None
    settled_at: datetime | None
    meta: str

    @property
    def is_apple(self) -> bool:
        """Paid through Apple: only Apple gives the money back."""
        return self.order_type in {OrderType.APPLE_PAYMENT, OrderType.APPLE_REFUND}

    @property
    def platform(self) -> Literal["ios", "android"]:
        """Whose fee applies (B1): Apple's, or that of Android and all the others."""
        return "ios" if self.is_apple else "android"

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "VirtualOrder":
        """From the `order` of an answer. Raises `InvalidInput`."""
        env_type = number(data, "env_type")
        return cls(
            out_trade_no=text(data, "order_id"),
            wx_order_id=text(data, "wx_order_id"),
            channel_order_id=text(data, "channel_order_id"),
            wxpay_order_id=text(data, "wxpay_order_id"),
            status=member(OrderStatus, number(data, "status")),
            order_type=number(data, "order_type") or 0,
            order_fen=number(data, "order_fee") or 0,
            paid_fen=number(data, "paid_fee") or 0,
            coupon_fen=number(data, "coupon_fee") or 0,
            left_fen=number(data, "left_fee") or 0,
            refund_fen=number(data, "refund_fee") or 0,
            platform_fee_fen=number(data, "platform_fee_fen"),
            cps_fee_fen=number(data, "cps_fee_fen"),
            env=None if env_type is None else env_type - 1,
            created_at=moment(data, "create_time"),
            paid_at=moment(data, "paid_time"),
            provided_at=moment(data, "provide_time"),
            settled_at=moment(data, "sett_time"),
            meta=text(data, "biz_meta", longest=4096),
        )


@dataclass(frozen=True)
class VirtualRefund:
    """A refund that the platform has taken on; `repeated` when it had done so before.

    Its end is told by a push or by `query_order` of its number.
    """

    out_refund_no: str
    wx_refund_id: str
    wx_order_id: str
    repeated: bool


@dataclass(frozen=True)
class Goods:
    """An item for sale as it is uploaded. `id`: up to 64 of letters, digits, `_` and `-`."""

    id: str
    name: str
    price_fen: int
    remark: str
    image_url: str


@dataclass(frozen=True)
class GoodsItem:
    id: str
    status: ItemStatus
    said: str


@dataclass(frozen=True)
class GoodsTask:
    """The last batch: how it stands and each item of it."""

    status: TaskStatus
    items: tuple[GoodsItem, ...]

    @classmethod
    def parse(cls, data: Mapping[str, Any], name: str) -> "GoodsTask":
        """`name` is "upload" or "publish". Raises `InvalidInput`."""
        rows = data.get(f"{name}_item") or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InvalidInput
        return cls(
            status=member(TaskStatus, number(data, "status")),
            items=tuple(
                GoodsItem(
                    id=text(row, "id"),
                    status=member(ItemStatus, number(row, f"{name}_status")),
                    said=text(row, "errmsg"),
                )
                for row in rows
            ),
        )


def text(data: Mapping[str, Any], name: str, *, longest: int = 512) -> str:
    """The text under `name`, "" where there is none. Raises `InvalidInput`."""
    value = data.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidInput
    return value


def number(data: Mapping[str, Any], name: str) -> int | None:
    """A whole number from 0, as a number or in digits; None where there is none."""
    value = data.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise InvalidInput
    return value


def moment(data: Mapping[str, Any], name: str) -> datetime | None:
    """Unix seconds → aware time; None for nothing and for 0."""
    seconds = number(data, name)
    if not seconds:
        return None
    if seconds > _LAST_SECOND:
        raise InvalidInput
    return datetime.fromtimestamp(seconds, UTC)


def member(kind: type[E], value: int | None) -> E:
    """The member of `kind`. Raises `InvalidInput` for a value that we do not know."""
    try:
        return kind(-1 if value is None else value)
    except ValueError as error:
        raise InvalidInput from error
