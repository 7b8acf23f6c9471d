"""Money arithmetic and states of payments, without a database. All amounts are integer fen."""

from calendar import monthrange
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.utils.translation import gettext as _

from kernel import clock
from kernel.errors import InvariantBroken
from kernel.money import largest_remainder, yuan
from payments.ports import Discounts

# From → to. A repeated transition is a no-op, anything else is an error.
ORDER_MOVES: Mapping[str, frozenset[str]] = {
    "pending": frozenset({"paid", "cancelled", "closed"}),
    "paid": frozenset({"partially_refunded", "refunded"}),
    "partially_refunded": frozenset({"refunded"}),
    "cancelled": frozenset(),
    # late money, when every reservation can be taken again (`contract.md` 7)
    "closed": frozenset({"paid"}),
    "refunded": frozenset(),
}
# closed → succeeded: the payer was faster than our close (`wechat.md` D3, ORDERPAID).
PAYMENT_MOVES: Mapping[str, frozenset[str]] = {
    "created": frozenset({"prepared", "succeeded", "closed"}),
    "prepared": frozenset({"succeeded", "closed"}),
    "closed": frozenset({"succeeded"}),
    "succeeded": frozenset(),
}
REFUND_MOVES: Mapping[str, frozenset[str]] = {
    "requested": frozenset({"processing", "succeeded", "abnormal", "closed", "rejected"}),
    "processing": frozenset({"succeeded", "abnormal", "closed"}),
    "abnormal": frozenset({"succeeded", "closed"}),
    "succeeded": frozenset(),
    # closed here, by a person or on a refusal, and yet the platform says that the money went back
    "closed": frozenset({"succeeded"}),
    "rejected": frozenset(),
}

# The default table of what may be sold where (`contract.md` 2); None: every channel.
CHANNEL_DEFAULTS: Mapping[str, frozenset[str] | None] = {
    "ios": frozenset({"virtual"}),
    "android": None,
    "devtools": None,
    "h5": None,
}

IOS_LEAST_FEN = 100  # `wechat.md` B1

_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def may_move(moves: Mapping[str, frozenset[str]], now: str, then: str) -> bool:
    """True for a step of the table, False for standing still; raises `InvariantBroken` else."""
    if now == then:
        return False
    if then not in moves[now]:
        raise InvariantBroken(f"{now} → {then} is no transition")
    return True


def channel_default(platform: str, channel: str) -> bool:
    """Whether the default table allows this channel on this platform."""
    allowed = CHANNEL_DEFAULTS[platform]
    return allowed is None or channel in allowed


def virtual_possible(platform: str, price_fen: int, env: int) -> bool:
    """Whether virtual payment takes this price there at all: Apple wants a yuan, live (B1)."""
    return platform != "ios" or (price_fen >= IOS_LEAST_FEN and env == 0)


def period_end(start: datetime, period: str) -> datetime | None:
    """When a period that begins at `start` ends: calendar months in the shop's zone.

    The 31st becomes the last day of a shorter month; a lifetime has no end.
    """
    if period == "lifetime":
        return None
    local = start.astimezone(clock.SHOP_ZONE)
    month0 = local.month - 1 + _MONTHS[period]
    year, month = local.year + month0 // 12, month0 % 12 + 1
    day = min(local.day, monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day).astimezone(start.tzinfo)


@dataclass(frozen=True)
class Item:
    """One thing to be priced; prices are for one piece, at this moment, for this buyer."""

    line_no: int
    product_id: int
    kind: str
    title: str
    scope: str
    period: str
    quantity: int
    list_fen: int
    price_fen: int  # the shop's price, ≤ list_fen
    promo_fen: int  # after a dated promotion, ≤ price_fen
    member_fen: int | None = None  # None where this buyer has no member price
    price_rule: str = "price"  # what the shop's price is: price | bundle | group
    left_out: int = 0  # things of its bundle that the buyer has and does not pay for
    gives: str = ""  # what each code of a gift opens
    message: str = ""  # what the giver writes to whoever claims it


@dataclass(frozen=True)
class Step:
    """One line of the explanation. A line's steps add up to what it costs."""

    rule: str  # list | price | bundle | group | promotion | member | coupon | points
    text: str
    amount_fen: int  # the list price positive, every reduction negative

    def as_json(self) -> dict[str, str | int]:
        return {"rule": self.rule, "text": self.text, "amount_fen": self.amount_fen}


@dataclass(frozen=True)
class PricedLine:
    """An item with its price explained: list − discount − points value = payable."""

    item: Item
    steps: tuple[Step, ...] = field(default=())
    discount_fen: int = 0
    points_value_fen: int = 0

    @property
    def list_fen(self) -> int:
        return self.item.list_fen * self.item.quantity

    @property
    def payable_fen(self) -> int:
        return self.list_fen - self.discount_fen - self.points_value_fen

    def reduced(self, rule: str, text: str, fen: int, *, always: bool = False) -> "PricedLine":
        """This line, `fen` cheaper by `rule`; without a step when `fen` is 0, unless `always`."""
        if fen < 0 or fen > self.payable_fen:
            raise InvariantBroken(f"{rule} takes {fen} of {self.payable_fen}")
        if fen == 0 and not always:
            return self
        points = rule == "points"
        return replace(
            self,
            steps=(*self.steps, Step(rule, text, -fen)),
            discount_fen=self.discount_fen + (0 if points else fen),
            points_value_fen=self.points_value_fen + (fen if points else 0),
        )


def price_line(item: Item) -> PricedLine:
    """List price → shop's price → promotion → member price, the lower one of each step.

    Where a bundle leaves out what the buyer has, its step stands there even over 0 fen.
    """
    line = PricedLine(item, (Step("list", _("原价"), item.list_fen * item.quantity),))
    unit = item.list_fen
    for rule, text, fen in (
        (item.price_rule, _price_text(item), item.price_fen),
        ("promotion", _("限时优惠"), item.promo_fen),
        ("member", _("会员价"), item.member_fen),
    ):
        told = rule == item.price_rule and item.left_out > 0
        if fen is not None and (fen < unit or told):
            line = line.reduced(rule, text, (unit - fen) * item.quantity, always=told)
            unit = fen
    return line


def _price_text(item: Item) -> str:
    texts = {"price": _("优惠价"), "bundle": _("套餐优惠"), "group": _("拼团价")}
    text = texts[item.price_rule]
    if item.left_out:
        text += _("（已拥有的 %(count)s 项不计价）") % {"count": item.left_out}
    return text


def apply_discounts(lines: Sequence[PricedLine], offer: Discounts) -> list[PricedLine]:
    """One coupon, then points, each spread over its lines by largest remainder.

    A coupon worth more than its lines takes them to zero and no further.
    """
    fits: Collection[int] = offer.coupon_lines or [line.item.line_no for line in lines]
    weights = [line.payable_fen if line.item.line_no in fits else 0 for line in lines]
    coupon_fen = min(offer.coupon_fen, sum(weights))
    coupon_text = offer.coupon_text or _("优惠券")
    after = [
        line.reduced("coupon", coupon_text, fen)
        for line, fen in zip(lines, _spread(coupon_fen, weights), strict=True)
    ]
    left = [line.payable_fen for line in after]
    if offer.points_value_fen > sum(left):
        raise InvariantBroken("points are worth more than what is left to pay")
    points_text = offer.points_text or _("积分抵扣 %(yuan)s 元") % {
        "yuan": yuan(offer.points_value_fen)
    }
    return [
        line.reduced("points", points_text, fen)
        for line, fen in zip(after, _spread(offer.points_value_fen, left), strict=True)
    ]


def _spread(total: int, weights: Sequence[int]) -> list[int]:
    return largest_remainder(total, weights) if total else [0] * len(weights)


@dataclass(frozen=True)
class PaidFacts:
    """What the platform says about money that came."""

    out_trade_no: str
    transaction_id: str
    amount_fen: int | None
    payer_openid: str
    success_at: datetime | None
    platform_id: str = ""  # the platform's other number of it
    by_apple: bool = False


@dataclass(frozen=True)
class RefundFacts:
    """What the platform says about money that goes back. `status` is the platform's word."""

    out_refund_no: str
    out_trade_no: str
    refund_id: str
    status: str  # PROCESSING | SUCCESS | ABNORMAL | CLOSED
    refund_fen: int | None
    success_at: datetime | None


def gap_seconds(plan: Sequence[int], done: int) -> int:
    """Seconds until the next look, after `done` looks of a plan of moments since the start."""
    if done <= 0:
        return plan[0]
    if done < len(plan):
        return max(1, plan[done] - plan[done - 1])
    return max(60, plan[-1] - plan[-2]) if len(plan) > 1 else plan[-1]
