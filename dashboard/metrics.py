"""The catalogue of figures: each is defined here, once, and counted in one query.

Days are the shop's (Asia/Shanghai). A list of figures is aligned with `period.days`. Events, of
which there are many, are put into days by `date_bin`: a third of the time of a conversion to the
time zone, and right where every day has 24 hours, as in China since 1992.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Max, QuerySet, Sum
from django.db.models.functions import TruncDate

from accounts.models import User
from dashboard.periods import Period
from kernel import clock
from payments.models import Order, OrderLine
from recommender.models import ServingPointer

# Learners who came through WeChat; accounts made by an import or for operators are named otherwise.
LEARNER_PREFIX = "wx_"


@dataclass(frozen=True)
class Sales:
    """What was sold per day of payment, in fen: `net` is `paid` without what went back since."""

    orders: list[int]
    paid_fen: list[int]
    net_fen: list[int]


def sales(period: Period) -> Sales:
    """Orders by the day they were paid on, and their money.

    Orders: rows with `paid_at` in the day, free ones included. Paid: sum of `payable_fen`. Net:
    paid minus `refunded_fen` of the same orders, whenever that was refunded, so the figure adds
    up from the rows it links to. Late and double money never counts: it belongs to no order.
    """
    rows = (
        Order.objects.filter(paid_at__gte=period.start, paid_at__lt=period.end)
        .values_list(TruncDate("paid_at", tzinfo=clock.SHOP_ZONE))
        .annotate(Count("pk"), Sum("payable_fen"), Sum("refunded_fen"))
        .order_by()
    )
    found = {day: figures for day, *figures in rows}
    return Sales(
        orders=period.aligned({day: orders for day, (orders, _, _) in found.items()}),
        paid_fen=period.aligned({day: paid for day, (_, paid, _) in found.items()}),
        net_fen=period.aligned({day: paid - back for day, (_, paid, back) in found.items()}),
    )


def learners_new(period: Period) -> list[int]:
    """Accounts made by a first WeChat login per day of `date_joined`."""
    rows = (
        User.objects.filter(
            username__startswith=LEARNER_PREFIX,
            date_joined__gte=period.start,
            date_joined__lt=period.end,
        )
        .values_list(TruncDate("date_joined", tzinfo=clock.SHOP_ZONE))
        .annotate(Count("pk"))
        .order_by()
    )
    return period.aligned(dict(rows))


def learners_active(period: Period) -> list[int]:
    """Different users per day with at least one event, imported ones left out.

    The day is the one on which the server received the event: a client's clock proves nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT midnight, count(*) FROM (
                SELECT DISTINCT date_bin('1 day', received_at, %s) AS midnight, user_id
                FROM feedback_event
                WHERE received_at >= %s AND received_at < %s AND origin <> 'import'
            ) AS seen GROUP BY midnight
            """,
            [period.start, period.start, period.end],
        )
        rows = cursor.fetchall()
    return period.aligned({clock.local_date(midnight): count for midnight, count in rows})


@dataclass(frozen=True)
class FeedClicks:
    """Feed slots that were seen per day, and how many of those were clicked."""

    shown: list[int]
    clicked: list[int]

    @property
    def rates(self) -> list[float | None]:
        """Share of shown slots that were clicked, 0 to 1; None on a day that showed nothing."""
        return [c / s if s else None for s, c in zip(self.shown, self.clicked, strict=True)]


def feed_clicks(period: Period) -> FeedClicks:
    """Feed click rate: of the courses a feed request showed, the share that was clicked.

    A slot is a pair of feed request and course with an `impression` event; it counts once, on
    the day of its first impression, however often it was reported. It is clicked when a `click`
    with the same request and course arrived by the end of the period.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT date_bin('1 day', shown_at, %s), count(*), count(*) FILTER (WHERE clicked)
            FROM (
                SELECT min(received_at) FILTER (WHERE type = 'impression') AS shown_at,
                       bool_or(type = 'click') AS clicked
                FROM feedback_event
                WHERE received_at >= %s AND received_at < %s
                      AND request_id IS NOT NULL AND type IN ('impression', 'click')
                GROUP BY request_id, course_id
            ) AS slots
            WHERE shown_at IS NOT NULL GROUP BY 1
            """,
            [period.start, period.start, period.end],
        )
        rows = [(clock.local_date(midnight), *counts) for midnight, *counts in cursor.fetchall()]
    return FeedClicks(
        shown=period.aligned({day: shown for day, shown, _ in rows}),
        clicked=period.aligned({day: clicked for day, _, clicked in rows}),
    )


@dataclass(frozen=True)
class ServingModel:
    """The model that web workers should serve, and how good it was when it was tested."""

    pk: int
    name: str
    version: str
    trained_at: datetime
    age: timedelta
    ndcg: float | None
    popular_ndcg: float | None


def model_in_service() -> ServingModel | None:
    """The version that the serving pointer names; its age since it was published.

    NDCG@10 of the model and of `popular` come from one evaluation on one split. None while no
    model serves.
    """
    pointer = ServingPointer.objects.select_related("version__run").first()
    version = pointer.version if pointer else None
    if version is None:
        return None
    popular = version.run.popular_metrics if version.run else {}
    return ServingModel(
        pk=version.pk,
        name=version.name,
        version=version.version,
        trained_at=version.created_at,
        age=max(clock.now() - version.created_at, timedelta(0)),
        ndcg=version.metrics.get("ndcg@10"),
        popular_ndcg=popular.get("ndcg@10"),
    )


@dataclass(frozen=True)
class BestSeller:
    """A product's sales in a period: how many order lines, and their money net of refunds."""

    product_id: int
    title: str
    sold: int
    net_fen: int


def best_sellers(period: Period, limit: int = 5) -> list[BestSeller]:
    """Products by net money of order lines paid in the period; ties by number sold, then age."""
    rows = (
        OrderLine.objects.filter(order__paid_at__gte=period.start, order__paid_at__lt=period.end)
        .values_list("product_id")
        .annotate(
            title=Max("product__title"),
            sold=Count("pk"),
            net_fen=Sum("payable_fen") - Sum("refunded_fen"),
        )
        .order_by("-net_fen", "-sold", "product_id")[:limit]
    )
    return [BestSeller(*row) for row in rows]


def orders_latest(limit: int = 6) -> QuerySet[Order]:
    """The orders paid last, with their users."""
    return (
        Order.objects.filter(paid_at__isnull=False)
        .select_related("user")
        .order_by("-paid_at")[:limit]
    )
