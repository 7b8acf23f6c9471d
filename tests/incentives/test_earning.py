"""What earns points, how often, and what a refund takes back."""

import pytest

from incentives import rules, selectors, services
from incentives.models import CheckIn, PointsWallet
from incentives.services import earning_rule_save, points_earn
from kernel import clock
from tests.incentives.conftest import all_at_once, balance_of, deadlocks, entries_of


def test_a_check_in_earns_once_a_day_and_counts_the_streak(learner, days_later):
    earning_rule_save(key="ci", kind="check_in", points=5, streak_bonus=20)
    user = learner()

    first = services.check_in(user.pk)
    again = services.check_in(user.pk)

    assert (first.streak, first.points, first.already) == (1, 5, False)
    assert (again.streak, again.points, again.already) == (1, 5, True)
    assert balance_of(user) == 5
    for day in range(1, 7):
        days_later(day)
        last = services.check_in(user.pk)
    assert (last.streak, last.points) == (7, 25)  # the seventh day in a row: 5 + 20
    days_later(8)
    assert services.check_in(user.pk).streak == 1  # a day was left out
    assert balance_of(user) == 7 * 5 + 20 + 5


def test_the_day_of_a_check_in_is_the_shops(learner, days_later):
    earning_rule_save(key="ci", kind="check_in", points=5)
    user = learner()
    midnight = clock.now().astimezone(clock.SHOP_ZONE).replace(hour=0, minute=0, second=0)
    past = (clock.now() - midnight).total_seconds()

    days_later(1 - (past + 60) / 86_400)  # a minute before midnight in Shanghai
    before = services.check_in(user.pk)
    days_later(1 - (past - 60) / 86_400)  # a minute after
    after = services.check_in(user.pk)

    assert (after.day - before.day).days == 1
    assert not after.already


@pytest.mark.parametrize("with_wallet", [False, True])
@pytest.mark.django_db(transaction=True)
def test_sixteen_check_ins_at_once_earn_once(learner, with_wallet):
    earning_rule_save(key="ci", kind="check_in", points=5)
    user = learner()
    if with_wallet:
        PointsWallet.objects.create(user=user)
    before = deadlocks()

    done = all_at_once(16, lambda _n: services.check_in(user.pk))

    assert [one.points for one in done] == [5] * 16
    assert sorted(one.already for one in done) == [False] + [True] * 15
    assert CheckIn.objects.filter(user=user).count() == 1
    assert balance_of(user) == 5
    assert deadlocks() == before


def test_a_lesson_earns_once(learner):
    earning_rule_save(key="lf", kind="lesson_finished", points=8)
    user = learner()

    assert services.lesson_finished_reward(user_id=user.pk, lesson_id=3) == 8
    assert services.lesson_finished_reward(user_id=user.pk, lesson_id=3) == 0
    assert services.lesson_finished_reward(user_id=user.pk, lesson_id=4) == 8

    assert balance_of(user) == 16


def test_caps_lower_what_is_earned(learner, days_later):
    earning_rule_save(key="lf", kind="lesson_finished", points=8, daily_cap=20, lifetime_cap=30)
    user = learner()

    earned = [
        services.lesson_finished_reward(user_id=user.pk, lesson_id=lesson) for lesson in range(4)
    ]
    days_later(1)
    next_day = [
        services.lesson_finished_reward(user_id=user.pk, lesson_id=lesson)
        for lesson in range(10, 13)
    ]

    assert earned == [8, 8, 4, 0]  # 20 a day
    assert next_day == [8, 2, 0]  # 30 in all


def test_without_a_rule_in_force_nothing_is_earned(learner):
    earning_rule_save(key="lf", kind="lesson_finished", points=8, active=False)
    user = learner()

    assert services.lesson_finished_reward(user_id=user.pk, lesson_id=3) == 0
    assert points_earn(user_id=user.pk, kind="purchase", ref="1", points=5) == 0


def test_saving_a_rule_replaces_the_kinds_rule_in_force(learner):
    earning_rule_save(key="old", kind="lesson_finished", points=8)
    earning_rule_save(key="new", kind="lesson_finished", points=3)
    earning_rule_save(key="new", kind="lesson_finished", points=4)

    assert services.lesson_finished_reward(user_id=learner().pk, lesson_id=3) == 4


def test_what_a_user_owes_is_settled_from_the_next_points(learner, earn):
    user = learner()
    earn(user, 10)
    PointsWallet.objects.filter(user=user).update(shortfall=25)

    earn(user, 20)
    earn(user, 20)

    assert [(kind, delta) for kind, delta, _ref in entries_of(user)] == [
        ("earn", 10),
        ("earn", 20),
        ("clawback", -20),
        ("earn", 20),
        ("clawback", -5),
    ]
    assert PointsWallet.objects.get(user=user).shortfall == 0
    assert balance_of(user) == selectors.points_balance(user.pk) == 25


def test_clawback_shares_of_partial_refunds_add_up():
    # 10 points for ¥99: after ¥33 3 are due (10·3300/9900 = 3.33), after ¥66 6, after ¥99 10.
    shares = [
        rules.clawback_share(10, before_fen=before, refund_fen=3300, payable_fen=9900)
        for before in (0, 3300, 6600)
    ]

    assert shares == [3, 3, 4]
