"""Each figure against rows counted by hand."""

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest

from dashboard import metrics
from dashboard.figures import age_text, money, yesterday
from dashboard.periods import Period, chosen_length
from kernel import clock
from recommender.models import ModelVersion, ServingPointer, TrainingRun
from tests.builders import make_learner
from tests.dashboard.shop import local, make_course, make_event, make_order, make_product

pytestmark = pytest.mark.django_db
THREE_DAYS = Period(date(2026, 11, 8), date(2026, 11, 10))


def test_a_period_is_whole_days_of_the_shops_calendar():
    assert THREE_DAYS.days == [date(2026, 11, 8), date(2026, 11, 9), date(2026, 11, 10)]
    assert THREE_DAYS.start == datetime(2026, 11, 7, 16, tzinfo=UTC)
    assert THREE_DAYS.end == datetime(2026, 11, 10, 16, tzinfo=UTC)


def test_a_period_that_ends_today_holds_now():
    week = Period.ending_today(7)

    assert len(week.days) == 7
    assert week.start <= clock.now() < week.end


@pytest.mark.parametrize(
    ("raw", "length"), [(None, 7), ("30", 30), ("90", 90), ("31", 7), ("x", 7), ("٣٠", 7)]
)
def test_only_the_offered_lengths_can_be_chosen(raw, length):
    assert chosen_length(raw) == length


def test_an_empty_shop_shows_zeros():
    assert metrics.sales(THREE_DAYS) == metrics.Sales([0, 0, 0], [0, 0, 0], [0, 0, 0])
    assert metrics.learners_new(THREE_DAYS) == [0, 0, 0]
    assert metrics.learners_active(THREE_DAYS) == [0, 0, 0]
    assert metrics.feed_clicks(THREE_DAYS).rates == [None, None, None]
    assert metrics.model_in_service() is None
    assert metrics.best_sellers(THREE_DAYS) == []
    assert list(metrics.orders_latest()) == []


def test_sales_count_by_the_day_of_payment_and_net_of_refunds():
    make_order(local(7, 23, 59), 100_000)  # the day before
    make_order(local(8, 0, 0), 9_900)
    make_order(local(8, 23, 59), 19_900, refunded_fen=5_000)
    make_order(local(10, 8), 0)  # free
    make_order(local(10, 9), 29_900, refunded_fen=29_900)
    make_order(local(11, 0, 0), 100_000)  # the day after
    make_order(None, 50_000)  # not paid

    sold = metrics.sales(THREE_DAYS)

    assert sold.orders == [2, 0, 2]
    assert sold.paid_fen == [29_800, 0, 29_900]
    assert sold.net_fen == [24_800, 0, 0]


def test_new_learners_came_through_wechat():
    make_learner(date_joined=local(8, 0, 0))
    make_learner(date_joined=local(10, 23, 59))
    make_learner(date_joined=local(11, 0, 0))  # the day after
    make_learner(username="ds_ml:7", date_joined=local(9))  # imported
    make_learner(username="xiaoli", is_staff=True, date_joined=local(9))

    assert metrics.learners_new(THREE_DAYS) == [1, 0, 1]


def test_an_active_learner_counts_once_a_day_and_imports_do_not_count():
    lin, zhou = make_learner(), make_learner()
    make_event(lin, "view", local(8, 9))
    make_event(lin, "click", local(8, 21))
    make_event(zhou, "view", local(8, 22))
    make_event(lin, "rating", local(10, 1), origin="server")
    make_event(zhou, "rating", local(10, 1), origin="import")

    assert metrics.learners_active(THREE_DAYS) == [2, 0, 1]


def test_the_click_rate_counts_each_shown_slot_once():
    lin = make_learner()
    first, second = make_course(), make_course()
    morning, evening = uuid.uuid4(), uuid.uuid4()
    make_event(lin, "impression", local(8, 9), course=first, request_id=morning)
    make_event(lin, "impression", local(8, 10), course=first, request_id=morning)  # seen again
    make_event(lin, "impression", local(8, 9), course=second, request_id=morning)
    make_event(lin, "click", local(9, 0, 5), course=first, request_id=morning)  # after midnight
    make_event(lin, "click", local(9, 0, 6), course=first, request_id=morning)  # and again
    make_event(lin, "impression", local(10, 9), course=first, request_id=evening)
    make_event(lin, "click", local(10, 9), course=second, request_id=evening)  # never shown
    make_event(lin, "impression", local(10, 9), course=first)  # no feed
    make_event(lin, "click", local(10, 9), course=first)

    clicks = metrics.feed_clicks(THREE_DAYS)

    assert clicks.shown == [2, 0, 1]
    assert clicks.clicked == [1, 0, 0]
    assert clicks.rates == [0.5, None, 0.0]


def test_the_model_in_service_stands_beside_popular():
    run = TrainingRun.objects.create(status="succeeded", popular_metrics={"ndcg@10": 0.0561})
    version = ModelVersion.objects.create(
        version="20261108-1",
        name="history_tower",
        path="20261108-1",
        metrics={"ndcg@10": 0.1234},
        run=run,
        created_at=clock.now() - timedelta(hours=5),
    )
    ServingPointer.objects.update_or_create(pk=1, defaults={"version": version})

    model = metrics.model_in_service()

    assert model is not None
    assert (model.pk, model.name, model.version) == (version.pk, "history_tower", "20261108-1")
    assert (model.ndcg, model.popular_ndcg) == (0.1234, 0.0561)
    assert timedelta(hours=5) <= model.age < timedelta(hours=5, minutes=1)


def test_best_sellers_are_ordered_by_money_that_stayed():
    cheap, dear, returned = make_product("手帐", 2_000), make_product("摄影"), make_product("理财")
    for _ in range(2):
        make_order(local(9), 2_000, product=cheap)
    make_order(local(9), 9_900, product=dear)
    make_order(local(9), 9_900, refunded_fen=9_900, product=returned)
    make_order(local(1), 9_900, product=returned)  # too early

    found = metrics.best_sellers(THREE_DAYS)

    assert found == [
        metrics.BestSeller(dear.pk, "摄影", 1, 9_900),
        metrics.BestSeller(cheap.pk, "手帐", 2, 4_000),
        metrics.BestSeller(returned.pk, "理财", 1, 0),
    ]


def test_the_latest_orders_come_newest_first():
    old, new = make_order(local(8)), make_order(local(9))
    make_order(None)

    assert [order.pk for order in metrics.orders_latest()] == [new.pk, old.pk]


@pytest.mark.parametrize(
    ("fen", "said"), [(0, "¥0.00"), (5, "¥0.05"), (123_456_789, "¥1,234,567.89"), (-50, "-¥0.50")]
)
def test_money_is_written_in_yuan(fen, said):
    assert money(fen) == said


def test_yesterday_stands_beside_a_day_that_still_runs():
    assert yesterday([3, 1200, 4]) == "昨日 1,200"
    assert yesterday([3, 1200, 4], money) == "昨日 ¥12.00"


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(seconds=59), "0 分钟前"),
        (timedelta(minutes=59), "59 分钟前"),
        (timedelta(hours=47), "47 小时前"),
        (timedelta(hours=50), "2 天前"),
    ],
)
def test_an_age_is_told_roughly(age, said):
    assert age_text(age) == said


@pytest.mark.parametrize(
    "figure",
    [
        metrics.sales,
        metrics.learners_new,
        metrics.learners_active,
        metrics.feed_clicks,
        metrics.best_sellers,
    ],
)
def test_a_figure_is_one_query(figure, django_assert_num_queries):
    for day in (8, 9, 10):
        make_order(local(day))
        make_event(make_learner(), "view", local(day))

    with django_assert_num_queries(1):
        figure(THREE_DAYS)


def test_the_model_and_the_latest_orders_are_one_query_each(django_assert_num_queries):
    for day in (8, 9, 10):
        make_order(local(day))

    with django_assert_num_queries(1):
        metrics.model_in_service()
    with django_assert_num_queries(1):
        assert len([order.user.nickname for order in metrics.orders_latest()]) == 3
