"""Lots are spent by expiry, come back where they came from, and expire."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from incentives import selectors, services
from incentives.discounts import PointsAndCoupons
from incentives.errors import PointsInsufficient
from incentives.models import PointEntry, PointLot, PointsWallet
from kernel import clock
from payments.ports import RefundShare
from tests.incentives.conftest import (
    all_at_once,
    balance_of,
    deadlocks,
    entries_of,
    order_of,
    rests_of,
)

port = PointsAndCoupons()
NO = "202611240000000000000001"


def test_points_are_spent_from_the_lot_that_expires_first(learner, earn):
    user = learner()
    earn(user, 30, valid_days=300)
    earn(user, 20, valid_days=10)
    earn(user, 50, valid_days=100)

    port.reserve(order_of(user, points=60))

    # 20 of the second (10 days), then 40 of the third (100 days), nothing of the first.
    assert rests_of(user) == [30, 0, 10]
    assert entries_of(user)[3:] == [("spend", -20, NO), ("spend", -40, NO)]
    assert balance_of(user) == 40


def test_more_than_the_balance_is_refused_and_changes_nothing(learner, earn):
    user = learner()
    earn(user, 30)

    with pytest.raises(PointsInsufficient) as refused:
        port.reserve(order_of(user, points=31))

    assert refused.value.detail == {"balance": 30, "points": 31}
    assert rests_of(user) == [30]
    assert balance_of(user) == 30


def test_overdue_points_can_not_be_spent_before_the_sweep(learner, earn, days_later):
    user = learner()
    earn(user, 30, valid_days=10)
    earn(user, 5, valid_days=100)
    days_later(11)

    with pytest.raises(PointsInsufficient) as refused:
        port.reserve(order_of(user, points=6))

    assert refused.value.detail["balance"] == 5
    assert selectors.points_balance(user.pk) == 5


def test_expiry_takes_what_a_lot_has_left_and_runs_once(learner, earn, days_later):
    user = learner()
    lot = earn(user, 30, valid_days=10)
    earn(user, 5, valid_days=100)
    port.reserve(order_of(user, points=12))
    days_later(10.5)

    assert services.points_expire() == 18
    assert services.points_expire() == 0

    assert rests_of(user) == [0, 5]
    assert entries_of(user)[-1] == (
        "expire",
        -18,
        f"expire:{lot.pk}:{int(lot.expires_at.timestamp())}",
    )
    assert balance_of(user) == 5


def test_a_cancelled_order_gives_its_points_back_to_the_same_lots_once(learner, earn):
    user = learner()
    earn(user, 20, valid_days=10)
    earn(user, 50, valid_days=100)
    order = order_of(user, points=60)
    port.reserve(order)

    port.release(order)
    port.release(order)

    assert rests_of(user) == [20, 50]
    assert entries_of(user)[4:] == [("spend_return", 40, NO), ("spend_return", 20, NO)]
    assert balance_of(user) == 70


def test_points_that_come_back_to_an_expired_lot_live_for_a_week(learner, earn, days_later):
    user = learner()
    earn(user, 20, valid_days=10)
    order = order_of(user, points=15)
    port.reserve(order)
    days_later(11)

    port.release(order)  # the 5 that were left expire first, then 15 come back

    assert rests_of(user) == [15]
    assert selectors.points_balance(user.pk) == 15
    days_later(11 + 6.9)
    assert services.points_expire() == 0
    days_later(11 + 7.1)
    assert services.points_expire() == 15
    assert [delta for kind, delta, _ref in entries_of(user) if kind == "expire"] == [-5, -15]
    assert balance_of(user) == 0


def test_refunds_give_back_their_shares_and_never_more_than_was_spent(learner, earn):
    user = learner()
    earn(user, 10, valid_days=10)
    earn(user, 90, valid_days=100)
    order = order_of(user, points=60)
    port.reserve(order)
    port.redeem(order)

    port.give_back(order, RefundShare(1, "R1", 3000, points=25, full=False))
    port.give_back(order, RefundShare(1, "R1", 3000, points=25, full=False))
    port.give_back(order, RefundShare(2, "R2", 6900, points=40, full=True))

    # 25 and then the 35 that were left, first to the lot that lives longest.
    returned = [(delta, ref) for kind, delta, ref in entries_of(user) if kind == "spend_return"]
    assert returned == [(25, "R1"), (25, "R2"), (10, "R2")]
    assert rests_of(user) == [10, 90]
    assert balance_of(user) == 100


def test_an_order_that_is_taken_up_again_spends_again(learner, earn):
    user = learner()
    earn(user, 30)
    order = order_of(user, points=30)
    port.reserve(order)
    port.release(order)

    port.reserve(order)

    assert entries_of(user)[-1] == ("spend", -30, f"{NO}#2")
    port.release(order)
    assert entries_of(user)[-1] == ("spend_return", 30, f"{NO}#2")
    assert balance_of(user) == 30


def test_expiring_points_are_listed_first_to_expire_first(learner, earn):
    user = learner()
    earn(user, 30, valid_days=20)
    earn(user, 7, valid_days=3)
    earn(user, 50, valid_days=31)

    assert [lot.remaining for lot in selectors.points_expiring(user.pk)] == [7, 30]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE incentives_pointentry SET delta = delta + 1",
        "DELETE FROM incentives_pointentry",
        "TRUNCATE incentives_pointentry",
    ],
)
def test_entries_are_append_only(learner, earn, change):
    user = learner()
    earn(user, 30)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else TRUNCATE has another reason

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change)

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL kpay.purge = 'on'")
        cursor.execute("DELETE FROM incentives_pointentry")
        assert cursor.rowcount == 1


def test_the_database_refuses_a_negative_balance_and_a_lot_above_its_grant(learner, earn):
    user = learner()
    lot = earn(user, 30)

    with pytest.raises(IntegrityError), transaction.atomic():
        PointsWallet.objects.filter(user=user).update(balance=-1)
    with pytest.raises(IntegrityError), transaction.atomic():
        PointLot.objects.filter(pk=lot.pk).update(remaining=31)
    with pytest.raises(IntegrityError), transaction.atomic():
        PointLot.objects.filter(pk=lot.pk).update(remaining=-1)


def test_the_database_refuses_a_second_entry_for_one_fact(learner, earn):
    user = learner()
    lot = earn(user, 30)
    spent = {"user": user, "lot": lot, "delta": -1, "kind": "spend", "ref": NO}
    PointEntry.objects.create(**spent)

    with pytest.raises(IntegrityError), transaction.atomic():
        PointEntry.objects.create(**spent)
    with pytest.raises(IntegrityError), transaction.atomic():
        PointEntry.objects.create(**{**spent, "ref": "other", "delta": 1})  # a spend that adds
    other = PointLot.objects.create(
        user=user,
        source="check_in",
        granted=1,
        remaining=1,
        expires_at=clock.now() + timedelta(days=1),
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        PointEntry.objects.create(
            user=user, lot=other, delta=1, kind="earn", ref="comment_approved:1"
        )


@pytest.mark.django_db(transaction=True)
def test_64_reservations_at_once_spend_exactly_the_balance(learner, earn):
    """Without the orders' own turn: the wallet alone decides."""
    user = learner()
    earn(user, 700, valid_days=10)
    earn(user, 550, valid_days=20)
    before = deadlocks()

    made = all_at_once(64, lambda n: port.reserve(order_of(user, no=f"{n}", points=100)))

    assert sum(one is None for one in made) == 12
    assert {type(one) for one in made} == {type(None), PointsInsufficient}
    assert balance_of(user) == 50
    assert rests_of(user) == [0, 50]
    assert deadlocks() == before
