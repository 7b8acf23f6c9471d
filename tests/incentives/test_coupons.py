"""Coupons are claimed within budget and limit, held by one order, and free when it dies."""

import pytest
from django.db import IntegrityError, transaction

from incentives import services
from incentives.discounts import PointsAndCoupons
from incentives.errors import (
    CouponLimitReached,
    CouponNotClaimable,
    CouponNotFound,
    CouponSoldOut,
    CouponUnusable,
    PointsInsufficient,
)
from incentives.models import Coupon, CouponTemplate, TemplateUser
from incentives.services import coupon_claim
from payments.ports import OfferLine, RefundShare
from tests.incentives.conftest import all_at_once, deadlocks, order_of

port = PointsAndCoupons()


def line(price_fen: int, scope: str = "course:1", line_no: int = 1) -> OfferLine:
    return OfferLine(
        line_no=line_no,
        product_id=line_no,
        kind="course",
        scope=scope,
        quantity=1,
        price_fen=price_fen,
    )


def offer(user, lines, *, coupon=None, points=0):
    return port.offer(
        user_id=user.pk,
        lines=lines,
        coupon_id=coupon.pk if coupon else None,
        points=points,
        payable_fen=sum(one.price_fen for one in lines),
    )


def test_a_user_gets_no_more_coupons_than_the_limit(learner, template):
    rule = template(per_user=2)
    user = learner()

    coupon_claim(user_id=user.pk, template_id=rule.pk)
    coupon_claim(user_id=user.pk, template_id=rule.pk)
    with pytest.raises(CouponLimitReached) as refused:
        coupon_claim(user_id=user.pk, template_id=rule.pk)

    assert refused.value.detail == {"per_user": 2}
    rule.refresh_from_db()
    assert (rule.claimed_count, rule.claimed_fen) == (2, 4000)


def test_the_money_budget_ends_claims_too(learner, template):
    rule = template(budget_count=None, budget_fen=5000)  # two coupons of 2000

    coupon_claim(user_id=learner().pk, template_id=rule.pk)
    coupon_claim(user_id=learner().pk, template_id=rule.pk)
    late = learner()
    with pytest.raises(CouponSoldOut):
        coupon_claim(user_id=late.pk, template_id=rule.pk)

    assert not TemplateUser.objects.filter(user=late).exists()


@pytest.mark.parametrize(
    "budget", [{"budget_count": 12}, {"budget_count": None, "budget_fen": 25_999}]
)
@pytest.mark.django_db(transaction=True)
def test_64_clients_get_exactly_the_ten_coupons_that_are_left(learner, template, budget):
    rule = template(**budget)
    for _ in range(2):
        coupon_claim(user_id=learner().pk, template_id=rule.pk)
    users = [learner() for _ in range(64)]
    before = deadlocks()

    got = all_at_once(64, lambda n: coupon_claim(user_id=users[n].pk, template_id=rule.pk))

    assert sum(isinstance(one, Coupon) for one in got) == 10
    assert {type(one) for one in got} == {Coupon, CouponSoldOut}
    assert Coupon.objects.filter(template=rule).count() == 12
    rule.refresh_from_db()
    assert (rule.claimed_count, rule.claimed_fen) == (12, 24_000)
    assert deadlocks() == before


@pytest.mark.django_db(transaction=True)
def test_one_user_at_once_gets_exactly_the_limit(learner, template):
    rule = template(per_user=3)
    user = learner()

    got = all_at_once(16, lambda _n: coupon_claim(user_id=user.pk, template_id=rule.pk))

    assert sum(isinstance(one, Coupon) for one in got) == 3
    assert {type(one) for one in got} == {Coupon, CouponLimitReached}
    assert Coupon.objects.filter(user=user).count() == 3


def test_a_code_claims_what_is_not_public(learner, template):
    rule = template(claimable=False, code="VIP2026")

    with pytest.raises(CouponNotClaimable):
        coupon_claim(user_id=learner().pk, template_id=rule.pk)
    with pytest.raises(CouponNotFound):
        coupon_claim(user_id=learner().pk, code="VIP2027")

    assert coupon_claim(user_id=learner().pk, code="VIP2026").template_id == rule.pk


def test_an_offer_takes_the_coupon_first_and_points_up_to_the_cap(learner, template, earn):
    user = learner()
    earn(user, 5000)
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)

    found = offer(user, [line(9900), line(5000, "course:2", 2)], coupon=coupon, points=5000)

    assert (found.coupon_fen, found.coupon_text, found.coupon_lines) == (2000, "满100减20", ())
    # 14900 − 2000 = 12900 payable, of which 30 % may be points.
    assert (found.points, found.points_value_fen) == (3870, 3870)
    assert found.points_text == "3870 积分抵 38.70 元"


def test_points_beyond_the_balance_are_refused(learner, earn):
    user = learner()
    earn(user, 100)

    with pytest.raises(PointsInsufficient):
        offer(user, [line(9900)], points=101)


def test_a_coupon_counts_for_its_scopes_alone(learner, template):
    user = learner()
    rule = template(scopes=["course:2"], min_fen=3000)
    coupon = coupon_claim(user_id=user.pk, template_id=rule.pk)

    found = offer(user, [line(9900), line(3000, "course:2", 2)], coupon=coupon)
    assert (found.coupon_fen, found.coupon_lines) == (2000, (2,))

    with pytest.raises(CouponUnusable) as refused:
        offer(user, [line(9900)], coupon=coupon)
    assert refused.value.detail == {"reason": "out_of_scope"}
    with pytest.raises(CouponUnusable) as refused:
        offer(user, [line(9900), line(2999, "course:2", 2)], coupon=coupon)
    assert refused.value.detail == {"reason": "below_floor", "min_fen": 3000}


def test_a_coupon_is_never_worth_more_than_what_it_covers(learner, template):
    user = learner()
    rule = template(scopes=["course:*"], min_fen=0)
    coupon = coupon_claim(user_id=user.pk, template_id=rule.pk)

    found = offer(user, [line(990), line(9900, "membership:vip", 2)], coupon=coupon)

    assert (found.coupon_fen, found.coupon_text, found.coupon_lines) == (990, "立减20元", (1,))


def test_somebody_elses_coupon_is_not_found(learner, template):
    coupon = coupon_claim(user_id=learner().pk, template_id=template().pk)
    thief = learner()

    with pytest.raises(CouponNotFound):
        offer(thief, [line(9900)], coupon=coupon)
    with pytest.raises(CouponNotFound):
        port.reserve(order_of(thief, coupon_id=coupon.pk, coupon_fen=2000))


def test_a_held_coupon_can_not_be_put_on_a_second_order(learner, template):
    user = learner()
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)
    first = order_of(user, "1", coupon_id=coupon.pk, coupon_fen=2000)
    port.reserve(first)

    with pytest.raises(CouponUnusable) as refused:
        port.reserve(order_of(user, "2", coupon_id=coupon.pk, coupon_fen=2000))
    assert refused.value.detail == {"reason": "held"}
    with pytest.raises(CouponUnusable):
        offer(user, [line(19_900)], coupon=coupon)

    port.redeem(first)
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order_no) == ("redeemed", "1")
    with pytest.raises(CouponUnusable) as refused:
        offer(user, [line(19_900)], coupon=coupon)
    assert refused.value.detail == {"reason": "used"}


def test_a_coupon_is_free_again_when_its_order_dies(learner, template):
    user = learner()
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)
    first = order_of(user, "1", coupon_id=coupon.pk, coupon_fen=2000)
    port.reserve(first)

    port.release(first)
    port.release(first)

    coupon.refresh_from_db()
    assert (coupon.status, coupon.order_no) == ("released", "")
    port.reserve(order_of(user, "2", coupon_id=coupon.pk, coupon_fen=2000))
    port.release(first)  # an old order's end does not touch what another one holds
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order_no) == ("reserved", "2")


def test_only_a_full_refund_frees_the_coupon(learner, template):
    user = learner()
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)
    order = order_of(user, "1", coupon_id=coupon.pk, coupon_fen=2000)
    port.reserve(order)
    port.redeem(order)

    port.give_back(order, RefundShare(1, "R1", 100, points=0, full=False))
    coupon.refresh_from_db()
    assert coupon.status == "redeemed"

    port.give_back(order, RefundShare(2, "R2", 9800, points=0, full=True))
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order_no) == ("released", "")


def test_coupons_expire_when_free_and_only_then(learner, template, days_later):
    user = learner()
    rule = template(valid_days=10, per_user=3)
    free, held, back = (coupon_claim(user_id=user.pk, template_id=rule.pk) for _ in range(3))
    order = order_of(user, "1", coupon_id=held.pk, coupon_fen=2000)
    port.reserve(order)
    other = order_of(user, "2", coupon_id=back.pk, coupon_fen=2000)
    port.reserve(other)
    days_later(11)

    with pytest.raises(CouponUnusable) as refused:
        offer(user, [line(19_900)], coupon=free)
    assert refused.value.detail == {"reason": "expired"}
    port.release(other)  # what comes back too late is expired at once
    assert services.coupons_expire() == 1
    assert services.coupons_expire() == 0

    statuses = dict(Coupon.objects.values_list("pk", "status"))
    assert statuses == {free.pk: "expired", held.pk: "reserved", back.pk: "expired"}
    port.redeem(order)  # held before it expired: the order's price stands
    held.refresh_from_db()
    assert held.status == "redeemed"


def test_the_database_refuses_counters_beyond_budget_and_limit(learner, template):
    rule = template(budget_count=1, budget_fen=2000)
    user = learner()
    coupon_claim(user_id=user.pk, template_id=rule.pk)

    with pytest.raises(IntegrityError, match="coupon_count_within_budget"), transaction.atomic():
        CouponTemplate.objects.filter(pk=rule.pk).update(claimed_count=2)
    with pytest.raises(IntegrityError, match="coupon_fen_within_budget"), transaction.atomic():
        CouponTemplate.objects.filter(pk=rule.pk).update(claimed_fen=2001)
    with pytest.raises(IntegrityError, match="coupons_within_user_limit"), transaction.atomic():
        TemplateUser.objects.filter(user=user).update(claimed=2)


def test_the_database_refuses_two_coupons_on_one_order(learner, template):
    user = learner()
    rule = template(per_user=2)
    one, two = (coupon_claim(user_id=user.pk, template_id=rule.pk) for _ in range(2))
    port.reserve(order_of(user, "1", coupon_id=one.pk, coupon_fen=2000))

    with pytest.raises(IntegrityError, match="coupon_one_per_order"), transaction.atomic():
        Coupon.objects.filter(pk=two.pk).update(status="reserved", order_no="1")
    with pytest.raises(IntegrityError, match="coupon_held_by_an_order"), transaction.atomic():
        Coupon.objects.filter(pk=two.pk).update(status="reserved")


@pytest.mark.django_db(transaction=True)
def test_of_16_orders_at_once_one_holds_the_coupon(learner, template):
    user = learner()
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)

    made = all_at_once(
        16,
        lambda n: port.reserve(order_of(user, no=f"{n}", coupon_id=coupon.pk, coupon_fen=2000)),
    )

    assert sum(one is None for one in made) == 1
    coupon.refresh_from_db()
    assert made[int(coupon.order_no)] is None
