"""The admin's home page: figures of today, charts over days, work that waits.

Money is counted for those alone who may see orders; so is every other figure by its rows.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.models import User
from dashboard import metrics
from dashboard.charts import Chart, Series
from dashboard.figures import Card, age_text, money, number, share, yesterday
from dashboard.links import row_url, rows_url, within
from dashboard.periods import LENGTHS, Period, chosen_length
from dashboard.waiting import waiting
from feedback.models import Event
from kernel import clock
from payments.models import Order, Product
from recommender.models import ModelVersion, TrainingRun

MayView = Callable[[type[Model]], bool]


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the home page's figures to the admin's context (unfold's DASHBOARD_CALLBACK)."""
    length = chosen_length(request.GET.get("days"))
    period = Period.ending_today(length)

    def may_view(model: type[Model]) -> bool:
        meta = model._meta
        return request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}")

    cards: list[Card] = []
    charts: list[Chart] = []
    for part in (_sales, _learners, _feed):
        more_cards, more_charts = part(period, may_view)
        cards += more_cards
        charts += more_charts
    lines = waiting(may_view)
    return {
        **context,
        "title": _("经营概览"),
        "today": period.last,
        "now": clock.now(),
        "length": length,
        "lengths": LENGTHS,
        "cards": cards,
        "charts": charts,
        "model": _model(may_view),
        "waiting": lines,
        "waiting_total": sum(line.count for line in lines),
        "latest": _latest(may_view),
        "best": _best(period, may_view),
    }


def _sales(period: Period, may_view: MayView) -> tuple[list[Card], list[Chart]]:
    if not may_view(Order):
        return [], []
    sold = metrics.sales(period)
    today = rows_url(Order, **within("paid_at", Period(period.last, period.last)))
    back = sold.paid_fen[-1] - sold.net_fen[-1]
    cards = [
        Card(
            key="orders",
            label=_("今日成交订单"),
            value=number(sold.orders[-1]),
            note=yesterday(sold.orders),
            meaning=_("今天支付成功的订单数，含免费订单"),
            url=today,
            icon="shopping_bag",
        ),
        Card(
            key="revenue",
            label=_("今日收入"),
            value=money(sold.net_fen[-1]),
            note=_("已退 %(back)s") % {"back": money(back)}
            if back
            else yesterday(sold.net_fen, money),
            meaning=_("今天支付的订单金额，减去这些订单已退的金额"),
            url=today,
            icon="payments",
        ),
    ]
    rows = rows_url(Order, **within("paid_at", period))
    net_yuan = [fen / 100 for fen in sold.net_fen]
    charts = [
        Chart(
            key="revenue",
            title=_("收入（元）"),
            total=money(sum(sold.net_fen)),
            kind="bar",
            days=period.days,
            series=[Series(_("收入"), net_yuan, "--color-primary-600")],
            url=rows,
        ),
        Chart(
            key="orders",
            title=_("成交订单"),
            total=number(sum(sold.orders)),
            kind="bar",
            days=period.days,
            series=[Series(_("订单"), sold.orders, "--color-primary-400")],
            url=rows,
        ),
    ]
    return cards, charts


def _learners(period: Period, may_view: MayView) -> tuple[list[Card], list[Chart]]:
    if not may_view(User):
        return [], []
    fresh, active = metrics.learners_new(period), metrics.learners_active(period)
    joined = {"username__startswith": metrics.LEARNER_PREFIX}
    today = Period(period.last, period.last)
    seen = rows_url(Event, **within("received_at", today)) if may_view(Event) else ""
    cards = [
        Card(
            key="new",
            label=_("今日新增学员"),
            value=number(fresh[-1]),
            note=yesterday(fresh),
            meaning=_("今天首次微信登录的账号数"),
            url=rows_url(User, **joined, **within("date_joined", today)),
            icon="person_add",
        ),
        Card(
            key="active",
            label=_("今日活跃学员"),
            value=number(active[-1]),
            note=yesterday(active),
            meaning=_("今天至少产生一次行为的学员数，不含导入的数据"),
            url=seen,
            icon="groups",
        ),
    ]
    charts = [
        Chart(
            key="learners",
            title=_("学员"),
            total=_("新增 %(count)s") % {"count": number(sum(fresh))},
            kind="line",
            days=period.days,
            series=[
                Series(_("活跃"), active, "--color-primary-600"),
                Series(_("新增"), fresh, "--color-orange-500"),
            ],
            url=rows_url(User, **joined, **within("date_joined", period)),
        )
    ]
    return cards, charts


def _feed(period: Period, may_view: MayView) -> tuple[list[Card], list[Chart]]:
    if not may_view(Event):
        return [], []
    clicks = metrics.feed_clicks(period)
    shown = {"type__exact": "impression", "request_id__isnull": False}
    today = Period(period.last, period.last)
    facts = {"clicked": number(clicks.clicked[-1]), "shown": number(clicks.shown[-1])}
    cards = [
        Card(
            key="click_rate",
            label=_("今日推荐点击率"),
            value=share(clicks.rates[-1]),
            note=_("%(clicked)s 次点击 / %(shown)s 次曝光") % facts,
            meaning=_("今天推荐流曝光过的课程位中，被点击的比例"),
            url=rows_url(Event, **shown, **within("received_at", today)),
            icon="ads_click",
        )
    ]
    total = sum(clicks.clicked) / sum(clicks.shown) if sum(clicks.shown) else None
    percents = [None if rate is None else round(rate * 100, 2) for rate in clicks.rates]
    charts = [
        Chart(
            key="click_rate",
            title=_("推荐点击率（%）"),
            total=share(total),
            kind="line",
            days=period.days,
            series=[Series(_("点击率"), percents, "--color-primary-600")],
            url=rows_url(Event, **shown, **within("received_at", period)),
        )
    ]
    return cards, charts


def _model(may_view: MayView) -> dict[str, Any] | None:
    """The serving model as the page shows it; None for those who may not see models."""
    if not may_view(ModelVersion):
        return None
    runs = rows_url(TrainingRun)
    model = metrics.model_in_service()
    if model is None:
        return {"name": "", "runs_url": runs}
    lift = None
    if model.ndcg is not None and model.popular_ndcg:
        lift = model.ndcg / model.popular_ndcg - 1
    best = max(model.ndcg or 0, model.popular_ndcg or 0)
    return {
        "name": model.name,
        "version": model.version,
        "url": row_url(ModelVersion, model.pk),
        "runs_url": runs,
        "age": age_text(model.age),
        "trained_at": model.trained_at,
        "lift": None if lift is None else f"{lift:+.0%}",
        "bars": [
            {
                "label": label,
                "value": "—" if value is None else f"{value:.4f}",
                "width": round(100 * value / best) if value and best else 0,
                "own": own,
            }
            for label, value, own in (
                (_("线上模型"), model.ndcg, True),
                (_("热门榜"), model.popular_ndcg, False),
            )
        ],
    }


def _latest(may_view: MayView) -> list[dict[str, Any]] | None:
    if not may_view(Order):
        return None
    return [
        {
            "no": order.no,
            "url": row_url(Order, order.pk),
            "user": str(order.user),
            "status": order.get_status_display(),
            "kind": "success" if order.status == Order.Status.PAID else "warning",
            "amount": money(order.payable_fen),
            "paid_at": order.paid_at,
        }
        for order in metrics.orders_latest()
    ]


def _best(period: Period, may_view: MayView) -> list[dict[str, Any]] | None:
    if not may_view(Order):
        return None
    found = metrics.best_sellers(period)
    most = max((seller.net_fen for seller in found), default=0)
    return [
        {
            "title": seller.title,
            "url": row_url(Product, seller.product_id) if may_view(Product) else "",
            "sold": seller.sold,
            "money": money(seller.net_fen),
            "width": round(100 * seller.net_fen / most) if most else 0,
        }
        for seller in found
    ]
