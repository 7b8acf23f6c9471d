"""What a story is made of: one order's own rows, and moments told of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib import admin
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from dashboard.links import row_url
from kernel import clock
from payments.models import Order, OrderLine, Payment, Refund

MayView = Callable[[type[Model]], bool]

PLATFORM = _("微信")
SYSTEM = _("系统")


@dataclass(frozen=True)
class Moment:
    """One thing that happened. `part` groups it, `order` breaks ties between equal times."""

    at: datetime
    part: str  # trade | money | rights | books | platform | office
    icon: str  # a Material symbol
    title: str
    facts: Sequence[str] = ()
    actor: str = ""
    url: str = ""
    tone: str = ""  # success | warning | danger
    badge: str = ""
    sides: Sequence[tuple[str, str, str]] = field(default=())  # account, debit, credit
    order: int = 50


@dataclass(frozen=True)
class Ground:
    """An order with what belongs to it alone; everything else is found by these numbers."""

    order: Order
    lines: Sequence[OrderLine]
    payments: Sequence[Payment]
    refunds: Sequence[Refund]
    may_view: MayView

    def link(self, row: Model) -> str:
        """The admin page of a row, for those who may open it; "" else."""
        model = type(row)
        opens = admin.site.is_registered(model) and self.may_view(model)
        return row_url(model, row.pk) if opens else ""

    @property
    def numbers(self) -> list[str]:
        """Every business number of the order: its own, its attempts', its refunds'."""
        return [
            self.order.no,
            *(payment.out_trade_no for payment in self.payments),
            *(refund.out_refund_no for refund in self.refunds),
        ]


Teller = Callable[[Ground], Iterator[Moment]]


def shown(at: datetime) -> str:
    """A moment in the shop's time."""
    return f"{at.astimezone(clock.SHOP_ZONE):%Y-%m-%d %H:%M}"
