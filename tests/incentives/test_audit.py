"""The audit sees what the tables would let through if their constraints were gone."""

import pytest
from django.db import connection

from incentives import audit
from incentives.discounts import PointsAndCoupons
from incentives.models import Coupon, CouponTemplate, PointEntry, PointsWallet, TemplateUser
from incentives.services import coupon_claim
from kernel.audit import invariants
from payments.services import order_end
from tests.incentives.conftest import order_of
from tests.incentives.test_orders import buy, product

port = PointsAndCoupons()


def found(check) -> int:
    with connection.cursor() as cursor:
        return check(cursor).violations


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL kpay.purge = 'on'")
        for statement in statements:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(statement)


def test_the_five_invariants_are_registered():
    assert {"P01", "P02", "P03", "C01", "C02"} <= {one.id for one in invariants()}


def test_a_shop_in_order_has_no_violations(learner, template, earn):
    user = learner()
    earn(user, 500)
    rule = template(per_user=2)
    first, second = (coupon_claim(user_id=user.pk, template_id=rule.pk) for _ in range(2))
    buy(user, product(1), coupon_id=first.pk, points=100)
    cancelled = buy(user, product(2), coupon_id=second.pk, points=100)
    order_end(order_id=cancelled.pk, status="cancelled")

    checks = [
        audit.points_add_up,
        audit.one_entry_per_fact,
        audit.orders_hold_their_points,
        audit.budgets_hold,
        audit.coupons_have_one_holder,
    ]
    assert [found(check) for check in checks] == [0] * 5


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE incentives_pointswallet SET balance = balance + 1",
        "UPDATE incentives_pointlot SET remaining = remaining - 1",
        "UPDATE incentives_pointentry SET delta = delta + 1",
    ],
)
def test_p01_sees_a_sum_that_does_not_agree(learner, earn, statement):
    earn(learner(), 30)

    run(statement)

    assert found(audit.points_add_up) > 0


def test_p01_sees_a_lot_above_its_grant(learner, earn):
    user = learner()
    lot = earn(user, 30)
    run("ALTER TABLE incentives_pointlot DROP CONSTRAINT lot_within_its_grant")
    PointEntry.objects.create(user=user, lot=lot, delta=5, kind="spend_return", ref="x")
    run("UPDATE incentives_pointlot SET remaining = 35")
    PointsWallet.objects.update(balance=35)

    assert found(audit.points_add_up) == 1


def test_p02_sees_a_fact_that_was_booked_twice(learner, earn):
    user = learner()
    lot = earn(user, 30)
    run("ALTER TABLE incentives_pointentry DROP CONSTRAINT point_entry_once_per_fact")
    for _ in range(2):
        PointEntry.objects.create(user=user, lot=lot, delta=-1, kind="spend", ref="x")

    assert found(audit.one_entry_per_fact) == 1


@pytest.mark.parametrize("status", ["pending", "cancelled"])
def test_p03_sees_points_of_an_order_that_do_not_agree_with_its_status(learner, earn, status):
    user = learner()
    earn(user, 500)
    order = buy(user, product(), points=100)
    if status == "pending":
        port.release(order_of(user, order.no, points=100))  # given back while it lives
    else:
        run("UPDATE payments_order SET status = 'cancelled'")  # dead, and nothing given back

    assert found(audit.orders_hold_their_points) == 1


def test_p03_sees_points_spent_for_no_order(learner, earn):
    user = learner()
    earn(user, 500)
    port.reserve(order_of(user, points=100))

    assert found(audit.orders_hold_their_points) == 1


def test_c01_sees_more_coupons_than_the_counters_say(learner, template):
    coupon = coupon_claim(user_id=learner().pk, template_id=template().pk)

    coupon.pk = None
    coupon.save()

    assert found(audit.budgets_hold) == 2  # the template's and the user's


def test_c01_sees_counters_beyond_the_budget(learner, template):
    rule = template(budget_count=1)
    coupon_claim(user_id=learner().pk, template_id=rule.pk)
    run("ALTER TABLE incentives_coupontemplate DROP CONSTRAINT coupon_count_within_budget")
    user = learner()
    CouponTemplate.objects.filter(pk=rule.pk).update(claimed_count=2, claimed_fen=4000)
    TemplateUser.objects.create(template=rule, user=user, claimed=1, allowed=1)
    held = Coupon.objects.get()
    held.pk, held.user = None, user
    held.save()

    assert found(audit.budgets_hold) == 1


def test_c02_sees_a_coupon_that_no_pending_order_holds(learner, template):
    user = learner()
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)
    port.reserve(order_of(user, coupon_id=coupon.pk, coupon_fen=2000))

    assert found(audit.coupons_have_one_holder) == 1
    Coupon.objects.update(status="redeemed")
    assert found(audit.coupons_have_one_holder) == 1


def test_c02_sees_an_order_whose_coupon_was_taken_away(learner, template):
    user = learner()
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)
    buy(user, product(), coupon_id=coupon.pk)

    Coupon.objects.update(status="issued", order_no="")

    assert found(audit.coupons_have_one_holder) == 1


def test_outsiders_read_the_same_facts_as_text_ids(learner, template, earn):
    user = learner()
    lot = earn(user, 30)
    coupon = coupon_claim(user_id=user.pk, template_id=template().pk)

    with connection.cursor() as cursor:
        cursor.execute("SELECT user_id, balance FROM audit.points")
        assert cursor.fetchall() == [(str(user.pk), 30)]
        cursor.execute("SELECT user_id, lot_id, delta, kind, ref FROM audit.point_entries")
        assert cursor.fetchall() == [(str(user.pk), str(lot.pk), 30, "earn", "comment_approved:1")]
        cursor.execute("SELECT id, granted, remaining FROM audit.point_lots")
        assert cursor.fetchall() == [(str(lot.pk), 30, 30)]
        cursor.execute("SELECT id, budget_count, budget_fen, per_user FROM audit.coupon_templates")
        assert cursor.fetchall() == [(str(coupon.template_id), 100, None, 1)]
        cursor.execute("SELECT id, user_id, status, order_no, value_fen FROM audit.coupons")
        assert cursor.fetchall() == [(str(coupon.pk), str(user.pk), "issued", None, 2000)]
