"""What a user may have by public rules."""

from datetime import timedelta

import pytest

from incentives import services
from incentives.selectors import entitled_offers
from incentives.services import coupon_claim, coupon_template_save, earning_rule_save
from kernel import clock


def ids(user) -> list[str]:
    return [offer.id for offer in entitled_offers(user)]


def test_only_what_can_be_claimed_now_is_offered(learner, template):
    user = learner()
    open_to_all = template(key="open")
    template(key="hidden", claimable=False, code="X")
    template(key="over", claim_until=clock.now() - timedelta(seconds=1))
    template(key="off", active=False)
    gone = template(key="gone", budget_count=1)
    coupon_claim(user_id=learner().pk, template_id=gone.pk)
    poor = template(key="poor", budget_count=None, budget_fen=3999)
    coupon_claim(user_id=learner().pk, template_id=poor.pk)  # 1999 left, 2000 needed
    had = template(key="had")
    coupon_claim(user_id=user.pk, template_id=had.pk)

    assert ids(user) == [f"coupon:{open_to_all.pk}"]
    assert f"coupon:{had.pk}" in ids(learner())


def test_a_coupon_offer_explains_its_rule(learner):
    until = clock.now() + timedelta(days=15)
    rule = coupon_template_save(
        key="a", title="新人券", discount_fen=2050, min_fen=10_000, budget_count=4,
        valid_days=7, scopes=["course:3"], claim_until=until,
    )  # fmt: skip
    coupon_claim(user_id=learner().pk, template_id=rule.pk)

    (offer,) = entitled_offers(learner())

    assert (offer.kind, offer.title) == ("coupon", "新人券")
    assert offer.rule_text == "满 100 元减 20.50 元，领取后 7 天内有效。"
    assert (offer.expires_at, offer.claim_url) == (until, "/api/v1/coupons/claim")
    assert offer.scopes == ("course:3",)
    # 15 of 30 days are left: 0.5; a quarter of the budget is gone: 0.25; the larger counts.
    assert offer.features == {
        "value_fen": 2050.0,
        "effort": 0.0,
        "urgency": pytest.approx(0.5, abs=0.01),
    }


def test_points_tasks_close_when_done_or_capped(learner):
    earning_rule_save(key="ci", kind="check_in", points=5)
    earning_rule_save(key="lf", kind="lesson_finished", points=8, daily_cap=10)
    earning_rule_save(key="p", kind="purchase", points=50, active=False)
    user = learner()

    assert ids(user) == ["points_task:check_in", "points_task:lesson_finished"]
    services.check_in(user.pk)
    services.lesson_finished_reward(user_id=user.pk, lesson_id=1)
    (task,) = entitled_offers(user)
    assert task.rule_text == "完成后可得 2 积分，365 天内有效。"
    services.lesson_finished_reward(user_id=user.pk, lesson_id=2)
    assert ids(user) == []


def test_offers_take_three_queries_for_any_number(learner, template, django_assert_num_queries):
    earning_rule_save(key="ci", kind="check_in", points=5)
    earning_rule_save(key="lf", kind="lesson_finished", points=8)
    for _ in range(5):
        template()
    user = learner()

    with django_assert_num_queries(3):
        assert len(entitled_offers(user)) == 7
