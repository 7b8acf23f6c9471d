"""The page of one order's story: why it cost what it did, then everything in time order."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from dashboard.figures import money
from dashboard.pages import may_view, operator_page
from dashboard.story import evidence, rights, trade
from dashboard.story.moments import Ground, Moment, Teller
from kernel import clock
from payments.models import Order, OrderLine, Payment, Refund, RefundLine

# Each is a fixed number of queries, whatever happened to the order.
TELLERS: tuple[Teller, ...] = (
    trade.quote,
    trade.order,
    trade.attempts,
    trade.refunds,
    trade.gifts,
    trade.group,
    trade.invoices,
    rights.entitlements,
    rights.coupon,
    rights.points,
    evidence.events,
    evidence.journals,
    evidence.bills,
    evidence.told,
    evidence.staff,
)
_TONES = {
    "paid": "success",
    "pending": "warning",
    "partially_refunded": "warning",
    "refunded": "info",
}


@dataclass(frozen=True)
class Day:
    """The moments of one day of the shop's calendar."""

    date: Any
    moments: list[Moment]


@operator_page(Order)
def order_story(request: HttpRequest, order_id: int) -> HttpResponse:
    """Everything that is known of one order."""
    ground = _ground(request, order_id)
    order = ground.order
    moments = sorted(
        (moment for teller in TELLERS for moment in teller(ground)),
        key=lambda moment: (moment.at, moment.order),
    )
    context = {
        "title": _("订单全程"),
        "order": order,
        "order_url": ground.link(order),
        "buyer_url": ground.link(order.user),
        "tone": _TONES.get(order.status, ""),
        "cards": [
            (_("原价"), money(order.total_fen)),
            (_("优惠"), money(order.discount_fen)),
            (_("积分抵扣"), money(order.points_value_fen)),
            (_("应付"), money(order.payable_fen)),
            (_("已退"), money(order.refunded_fen)),
        ],
        "lines": [_line(line) for line in ground.lines],
        "days": [
            Day(date, list(group))
            for date, group in groupby(moments, lambda moment: clock.local_date(moment.at))
        ],
        "count": len(moments),
        "parts": [
            ("trade", _("交易")),
            ("money", _("资金")),
            ("rights", _("权益")),
            ("books", _("账目")),
            ("platform", _("平台")),
            ("office", _("内部")),
        ],
    }
    return TemplateResponse(request, "dashboard/story.html", context)


def _ground(request: HttpRequest, order_id: int) -> Ground:
    found = Order.objects.select_related("user", "quote", "group").filter(pk=order_id).first()
    if found is None:
        raise Http404
    lines = OrderLine.objects.filter(order=found).order_by("line_no")
    refunds = (
        Refund.objects.filter(order=found)
        .select_related("requested_by", "decided_by")
        .prefetch_related(Prefetch("lines", RefundLine.objects.select_related("line")))
    )
    return Ground(
        order=found,
        lines=list(lines),
        payments=list(Payment.objects.filter(order=found).order_by("pk")),
        refunds=list(refunds.order_by("pk")),
        may_view=lambda model: may_view(request, model),
    )


def _line(line: OrderLine) -> dict[str, Any]:
    return {
        "title": line.title,
        "quantity": line.quantity,
        "scope": line.scope or line.gives,
        "steps": [(step["text"], money(step["amount_fen"])) for step in line.steps],
        "payable": money(line.payable_fen),
        "refunded": money(line.refunded_fen) if line.refunded_fen else "",
    }
