"""Plants for points and coupons (P01 to C02): see `kernel.selftest`."""

from datetime import timedelta

from accounts.models import User
from incentives.models import (
    Coupon,
    CouponTemplate,
    PointEntry,
    PointLot,
    PointsWallet,
    TemplateUser,
)
from kernel import clock
from kernel.ids import new_no
from kernel.selftest import Planted, plant, sql
from payments.models import Order
from payments.selftest import ground

POINTS = 30
FEN = 500


def _wallet() -> PointLot:
    """A user's only lot; entry and balance agree with it."""
    user = ground.someone()
    lot = PointLot.objects.create(
        user=user,
        source="check_in",
        granted=POINTS,
        remaining=POINTS,
        expires_at=clock.now() + timedelta(days=365),
    )
    _entry(lot, POINTS, "earn", new_no())
    PointsWallet.objects.create(user=user, balance=POINTS)
    return lot


def _entry(lot: PointLot, delta: int, kind: str, ref: str, order_no: str = "") -> None:
    PointEntry.objects.create(
        user_id=lot.user_id, lot=lot, delta=delta, kind=kind, ref=ref, order_no=order_no
    )


def _moved(lot: PointLot, points: int) -> None:
    """Lot and balance follow an entry of `points`."""
    PointLot.objects.filter(pk=lot.pk).update(remaining=POINTS + points)
    PointsWallet.objects.filter(user_id=lot.user_id).update(balance=POINTS + points)


def _template(**budget: int) -> CouponTemplate:
    """A template of which one coupon is claimed."""
    return CouponTemplate.objects.create(
        key=new_no(),
        title="selftest",
        discount_fen=FEN,
        claimed_count=1,
        claimed_fen=FEN,
        **budget,
    )


def _coupon(template: CouponTemplate, user: User, **fields: object) -> Coupon:
    values = {"value_fen": FEN, "expires_at": clock.now() + timedelta(days=30)}
    return Coupon.objects.create(template=template, user=user, **(values | fields))


def _claimed(**budget: int) -> Coupon:
    """The one coupon of a new template, with every counter."""
    template = _template(**budget)
    user = ground.someone()
    TemplateUser.objects.create(template=template, user=user, claimed=1, allowed=1)
    return _coupon(template, user)


def _held(status: str) -> tuple[Coupon, Order]:
    """A coupon and the order in that state which holds it."""
    coupon = _claimed()
    order = ground.order(status, user=coupon.user)
    Order.objects.filter(pk=order.pk).update(coupon_id=coupon.pk)
    state = Coupon.Status.RESERVED if status == "pending" else Coupon.Status.REDEEMED
    Coupon.objects.filter(pk=coupon.pk).update(status=state, order_no=order.no)
    return coupon, order


@plant("P01", blocked_by={"lot_within_its_grant"})
def lot_above_its_grant() -> Planted:
    lot = _wallet()

    def overfill() -> None:
        _entry(lot, 5, "spend_return", new_no())
        _moved(lot, 5)

    return Planted({"user_id": lot.user_id, "lot_id": lot.pk}, overfill)


@plant("P01", blocked_by={"wallet_never_negative", "incentives_pointswallet_balance_check"})
def balance_below_zero() -> Planted:
    lot = _wallet()
    wallets = PointsWallet.objects.filter(user_id=lot.user_id)
    return Planted({"user_id": lot.user_id}, lambda: wallets.update(balance=-1))


@plant("P01")
def balance_without_entries() -> Planted:
    lot = _wallet()
    wallets = PointsWallet.objects.filter(user_id=lot.user_id)
    return Planted({"user_id": lot.user_id}, lambda: wallets.update(balance=POINTS + 1))


@plant("P01")
def lot_emptied_without_an_entry() -> Planted:
    lot = _wallet()
    lots = PointLot.objects.filter(pk=lot.pk)
    return Planted({"lot_id": lot.pk}, lambda: lots.update(remaining=0))


@plant("P02", blocked_by={"point_entry_once_per_fact"})
def spent_twice_for_one_fact() -> Planted:
    lot, ref = _wallet(), new_no()
    _entry(lot, -1, "spend", ref)
    return Planted({"user_id": lot.user_id, "ref": ref}, lambda: _entry(lot, -1, "spend", ref))


@plant("P03")
def order_without_its_points() -> Planted:
    no = ground.order(Order.Status.PENDING).no
    orders = Order.objects.filter(no=no)
    return Planted(
        {"order_no": no, "held": 0},
        lambda: orders.update(
            points_used=POINTS, points_value_fen=POINTS, payable_fen=ground.FEN - POINTS
        ),
    )


@plant("P03")
def dead_order_keeps_its_points() -> Planted:
    lot = _wallet()
    user = User.objects.get(pk=lot.user_id)
    order = ground.order(Order.Status.PENDING, user=user, points=POINTS)
    _entry(lot, -POINTS, "spend", order.no, order.no)
    _moved(lot, -POINTS)
    orders = Order.objects.filter(pk=order.pk)
    return Planted(
        {"order_no": order.no, "held": POINTS},
        lambda: orders.update(status=Order.Status.CANCELLED),
    )


@plant("P03")
def points_spent_for_no_order() -> Planted:
    lot, no = _wallet(), new_no()

    def spend() -> None:
        _entry(lot, -POINTS, "spend", no, no)
        _moved(lot, -POINTS)

    return Planted({"order_no": no, "held": POINTS}, spend)


@plant("C01", blocked_by={"coupon_count_within_budget"})
def more_coupons_than_budgeted() -> Planted:
    template = _claimed(budget_count=1).template
    user = ground.someone()

    def claim() -> None:
        _coupon(template, user)
        TemplateUser.objects.create(template=template, user=user, claimed=1, allowed=1)
        CouponTemplate.objects.filter(pk=template.pk).update(claimed_count=2, claimed_fen=2 * FEN)

    return Planted({"template_id": template.pk, "coupons": 2, "allowed": 1}, claim)


@plant("C01", blocked_by={"coupon_fen_within_budget"})
def more_fen_than_budgeted() -> Planted:
    template = _claimed(budget_fen=FEN).template
    rows = CouponTemplate.objects.filter(pk=template.pk)

    def claim() -> None:
        Coupon.objects.filter(template=template).update(value_fen=FEN + 1)
        rows.update(claimed_fen=FEN + 1)

    return Planted({"template_id": template.pk}, claim)


@plant("C01", blocked_by={"coupons_within_user_limit"})
def more_coupons_than_a_user_may_have() -> Planted:
    coupon = _claimed()

    def claim() -> None:
        _coupon(coupon.template, coupon.user)
        CouponTemplate.objects.filter(pk=coupon.template_id).update(
            claimed_count=2, claimed_fen=2 * FEN
        )
        TemplateUser.objects.filter(template_id=coupon.template_id).update(claimed=2)

    return Planted({"template_id": coupon.template_id, "user_id": coupon.user_id}, claim)


@plant("C01")
def coupon_nobody_counted() -> Planted:
    coupon = _claimed()
    return Planted(
        {"template_id": coupon.template_id, "user_id": coupon.user_id, "coupons": 2},
        lambda: _coupon(coupon.template, coupon.user),
    )


@plant("C02", blocked_by={"coupon_one_per_order"})
def two_coupons_for_one_order() -> Planted:
    _coupon_held, order = _held("pending")
    other = _claimed()
    return Planted(
        {"id": other.pk, "order_no": order.no},
        lambda: Coupon.objects.filter(pk=other.pk).update(
            status=Coupon.Status.RESERVED, order_no=order.no
        ),
    )


@plant("C02", blocked_by={"coupon_held_by_an_order"})
def coupon_held_by_nobody() -> Planted:
    coupon = _claimed()
    return Planted(
        {"id": coupon.pk, "status": "reserved"},
        sql("UPDATE incentives_coupon SET status = 'reserved' WHERE id = %(id)s", id=coupon.pk),
    )


@plant("C02")
def coupon_held_by_a_dead_order() -> Planted:
    coupon, order = _held("pending")
    orders = Order.objects.filter(pk=order.pk)
    return Planted(
        {"id": coupon.pk, "order_status": "closed"},
        lambda: orders.update(status=Order.Status.CLOSED),
    )


@plant("C02")
def used_coupon_free_again() -> Planted:
    coupon, order = _held("paid")
    return Planted(
        {"id": coupon.pk, "status": "released", "order_no": order.no},
        lambda: Coupon.objects.filter(pk=coupon.pk).update(
            status=Coupon.Status.RELEASED, order_no=""
        ),
    )
