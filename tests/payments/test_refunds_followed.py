"""What follows when money has gone back: figures, rights, discounts, shares, books."""

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incentives.models import Coupon, PointEntry
from incentives.selectors import points_balance
from incentives.services import coupon_claim, coupon_template_save, earning_rule_save, points_earn
from kernel import clock, outbox
from kernel.models import OutboxRow
from payments.errors import FactsDiffer, NothingToRefund
from payments.models import (
    Entitlement,
    Gift,
    Group,
    GroupOffer,
    Invoice,
    Journal,
    LedgerAccount,
    LineShare,
    Order,
    OrderLine,
    Payment,
    Refund,
    ShareRule,
)
from payments.services.entitlements import entitlement_grant
from payments.services.refunds import refund_adopt, refund_by_shop, refund_told
from tests.payments.conftest import attempt, money_for, pay, sums
from tests.payments.refunding import (
    ask,
    books,
    broken,
    fresh,
    give_back,
    made_order,
    money,
    paid_order,
    said,
    staff,
    tell,
)

pytestmark = pytest.mark.django_db


def living(order: Order) -> set[str]:
    rows = Entitlement.objects.filter(source_ref=order.no, revoked_at__isnull=True)
    return set(rows.values_list("scope", flat=True))


def test_a_full_refund_takes_everything_back(buyer, course, pending):
    order = pending(course(price_fen=9900, list_fen=19900))
    pay(order)

    refund = give_back(order)

    order = fresh(order)
    assert (refund.status, order.status, order.refunded_fen) == ("succeeded", "refunded", 9900)
    assert money(order) == (0, 9900, [0], [9900])
    assert living(order) == set()
    assert sums(refund.out_refund_no) == {
        "revenue": 19900, "cash:jsapi": -9900, "discounts": -10000,
    }  # fmt: skip
    assert books() == {}
    assert broken() == {}


def test_a_part_moves_its_share_and_leaves_the_rights(buyer, course):
    order = paid_order(buyer, course(), (5000, 1000, 0), (3000, 0, 0))

    refund = give_back(order, lines=[{"line_no": 1, "amount_fen": 2500}])

    order = fresh(order)
    assert (order.status, order.refunded_fen) == ("partially_refunded", 2500)
    assert money(order) == (0, 2500, [0, 0], [2500, 0])
    assert len(living(order)) == 2
    assert sums(refund.out_refund_no) == {"revenue": 3000, "cash:jsapi": -2500, "discounts": -500}
    assert broken() == {}


def test_only_lines_of_which_nothing_is_left_end(buyer, course):
    order = paid_order(buyer, course(), (5000, 0, 0), (3000, 0, 0), (0, 700, 0))
    scopes = list(order.lines.order_by("line_no").values_list("scope", flat=True))

    give_back(order, lines=[{"line_no": 1, "amount_fen": 5000}, {"line_no": 2, "amount_fen": 1}])
    after_first = living(order)
    give_back(order)

    assert after_first == {scopes[1], scopes[2]}
    # what cost nothing ends with the order
    assert living(order) == set()
    assert fresh(order).status == "refunded"
    assert books() == {}
    assert broken() == {}


def test_rights_from_elsewhere_stay(buyer, course, pending):
    product = course()
    order = pending(product)
    pay(order)
    entitlement_grant(
        user_id=buyer.pk, scope=product.scope, source="operator", source_ref="1", reason="VIP"
    )

    give_back(order)

    assert Entitlement.objects.filter(revoked_at__isnull=True).get().source == "operator"


@pytest.fixture
def spending(buyer, course, pending):
    """An order of 50.00 paid with a coupon of 10.00 and 800 points: 32.00 are payable."""
    earning_rule_save(key="r", kind="comment_approved", points=1000)
    points_earn(user_id=buyer.pk, kind="comment_approved", ref="1", points=1000)
    template = coupon_template_save(
        key="t", title="券", discount_fen=1000, min_fen=0, budget_count=10
    )
    coupon = coupon_claim(user_id=buyer.pk, template_id=template.pk)
    order = pending(course(price_fen=5000), coupon_id=coupon.pk, points=800)
    pay(order)
    return fresh(order)


def test_points_come_back_by_share_and_the_coupon_when_nothing_is_left(buyer, spending):
    first = give_back(spending, amount_fen=1001)
    halfway = (points_balance(buyer.pk), Coupon.objects.get().status, broken())
    last = give_back(spending)

    # 800 · 1001 / 3200 = 250.25
    assert halfway == (200 + 250, "redeemed", {})
    assert points_balance(buyer.pk) == 1000
    assert Coupon.objects.get().status == "released"
    returned = PointEntry.objects.filter(kind="spend_return").order_by("pk")
    assert [(e.delta, e.ref) for e in returned] == [
        (250, first.out_refund_no), (550, last.out_refund_no),
    ]  # fmt: skip
    # 1000 · 1001 / 3200 = 312.8; 800 · 1001 / 3200 = 250.25
    assert sums(first.out_refund_no) == {
        "revenue": 1001 + 312 + 250, "cash:jsapi": -1001, "discounts": -312,
        "points_liability": -250,
    }  # fmt: skip
    assert books() == {}
    assert broken() == {}


def test_the_quote_promised_exactly_that(buyer, spending, api_for):
    http = api_for(buyer)
    address = f"/api/v1/orders/{spending.no}/refund-quote"

    part = http.post(address, {"amount_fen": 1001}, format="json").json()
    all_ = http.post(address, {}, format="json").json()

    assert part["effects"] == {"points": 250, "coupon": False, "access": False, "gifts": 0}
    assert all_["effects"] == {"points": 800, "coupon": True, "access": True, "gifts": 0}


def test_points_earned_by_the_purchase_are_taken_back_once_in_any_order(buyer, course, pending):
    earning_rule_save(key="p", kind="purchase", points=10)
    order = pending(course(price_fen=9900))
    pay(order)
    outbox.deliver_due()
    earned = points_balance(buyer.pk)
    one, two = ask(order, amount_fen=3300), ask(order, amount_fen=6600)

    tell(two)
    outbox.deliver_due()
    between = points_balance(buyer.pk)
    tell(one)
    tell(one)
    outbox.deliver_due()

    # 10 · 6600 / 9900 = 6.67: six go; then the rest
    assert (earned, between, points_balance(buyer.pk)) == (10, 4, 0)
    told = OutboxRow.objects.filter(kind="payments.refund_succeeded")
    assert {row.payload["out_refund_no"] for row in told} == {one.out_refund_no, two.out_refund_no}
    assert not told.exclude(state="done").exists()
    assert broken() == {}


def test_creators_earn_their_share_and_give_it_back(buyer, course, pending):
    product = course(price_fen=9999)
    ShareRule.objects.create(scope=product.scope, payee="7", share_bp=3000)
    ShareRule.objects.create(scope=product.scope, payee="8", share_bp=1000)
    ShareRule.objects.create(scope=product.scope, payee="9", share_bp=9000, active=False)
    order = pending(product)
    payment = pay(order)

    # 30 % and 10 % of 9999, rounded down
    assert dict(LineShare.objects.values_list("payee", "amount_fen")) == {"7": 2999, "8": 999}
    journal = Journal.objects.get(kind="share")
    assert journal.ref == payment.out_trade_no
    assert dict(journal.entries.values_list("account", "amount_fen")) == {
        "creator_share": 3998, "creator_payable:7": -2999, "creator_payable:8": -999,
    }  # fmt: skip

    first = give_back(order, amount_fen=3333)
    back = Journal.objects.get(kind="share_back", ref=first.out_refund_no)
    # a third of each, rounded down: 999.67, 333
    assert dict(back.entries.values_list("account", "amount_fen")) == {
        "creator_share": -1332, "creator_payable:7": 999, "creator_payable:8": 333,
    }  # fmt: skip
    give_back(order)

    assert all(s.returned_fen == s.amount_fen for s in LineShare.objects.all())
    assert set(LedgerAccount.objects.values_list("balance_fen", flat=True)) == {0}
    assert books() == {}
    assert broken() == {}


def test_shares_never_come_to_more_than_was_paid(buyer, course, pending):
    product = course(price_fen=1000)
    ShareRule.objects.create(scope=product.scope, payee="7", share_bp=7000)
    ShareRule.objects.create(scope=product.scope, payee="8", share_bp=7000)

    pay(pending(product))

    assert dict(LineShare.objects.values_list("payee", "amount_fen")) == {"7": 700, "8": 300}


LINE = st.tuples(
    st.integers(min_value=0, max_value=5000),
    st.integers(min_value=0, max_value=3000),
    st.integers(min_value=0, max_value=3000),
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    lines=st.lists(LINE, min_size=1, max_size=4).filter(lambda ls: any(line[0] for line in ls)),
    parts=st.lists(st.integers(min_value=1, max_value=3000), max_size=5),
    share_bp=st.integers(min_value=1, max_value=10_000),
    closes=st.sets(st.integers(min_value=0, max_value=4)),
)
def test_any_number_of_refunds_brings_every_account_back_to_nothing(
    buyer, course, lines, parts, share_bp, closes
):
    order = made_order(buyer, course(), *lines)
    for line in order.lines.all():
        ShareRule.objects.create(scope=line.scope, payee=f"c{line.line_no}", share_bp=share_bp)
    pay(order)
    order = fresh(order)

    for number, part in enumerate(parts):
        left = order.payable_fen - sum(money(order)[1:2])
        if not left:
            break
        refund = ask(order, amount_fen=min(part, left))
        tell(refund, "CLOSED" if number in closes else "SUCCESS")
    with contextlib.suppress(NothingToRefund):
        give_back(order)

    assert fresh(order).status == "refunded"
    assert books() == {}
    assert money(order)[0] == 0
    assert broken() == {}


def gift_order(buyer: Any, product: Any, worth: list[int]) -> tuple[Order, list[Gift]]:
    """A paid order over gift codes worth this much each."""
    order = made_order(buyer, product, (sum(worth), 0, 0))
    OrderLine.objects.filter(order=order).update(
        kind="gift", scope="", gives="course:77", quantity=len(worth)
    )
    pay(order)
    line = order.lines.get()
    at = clock.now()
    gifts = Gift.objects.filter(line=line).order_by("number")
    if not gifts.exists():
        Gift.objects.bulk_create(
            Gift(
                line=line, number=n, scope="course:77", amount_fen=fen, code_hash=bytes([n]) * 32,
                code_sealed="x", expires_at=at + timedelta(days=30),
                next_sweep_at=at + timedelta(days=30),
            )
            for n, fen in enumerate(worth, start=1)
        )  # fmt: skip
    return fresh(order), list(Gift.objects.filter(line=line).order_by("number"))


def claim(gift: Gift, user: Any) -> None:
    gift.status, gift.claimed_by, gift.claimed_at = "claimed", user, clock.now()
    gift.next_sweep_at = None
    gift.save()
    entitlement_grant(user_id=user.pk, scope=gift.scope, source="gift", source_ref=str(gift.pk))


def states(gifts: list[Gift]) -> list[str]:
    return list(
        Gift.objects.filter(line=gifts[0].line).order_by("number").values_list("status", flat=True)
    )


def test_a_giver_takes_back_what_nobody_claimed(buyer, course, learner, api_for):
    order, gifts = gift_order(buyer, course(), [334, 333, 333])
    friend = learner()
    claim(gifts[0], friend)
    http = api_for(buyer)
    Order.objects.update(paid_at=clock.now() - timedelta(days=20))  # no matter how long ago

    quote = http.post(f"/api/v1/orders/{order.no}/refund-quote", {}, format="json").json()
    odd = http.post(
        f"/api/v1/orders/{order.no}/refunds", {"amount_fen": 300}, format="json",
        headers={"Idempotency-Key": "1"},
    )  # fmt: skip
    one = ask(order, amount_fen=333)
    during = states(gifts)
    tell(one, "CLOSED")
    after = states(gifts)
    give_back(order)

    assert quote["refundable_fen"] == 666
    assert quote["lines"][0]["effects"] == {
        "points": 0, "coupon": False, "access": False, "gifts": 2,
    }  # fmt: skip
    assert (odd.status_code, "333" in str(odd.json())) == (400, True)
    assert during == ["claimed", "returning", "issued"]
    assert after == ["claimed", "issued", "issued"]
    assert states(gifts) == ["claimed", "returned", "returned"]
    assert fresh(order).status == "partially_refunded"
    assert Entitlement.objects.get(user=friend).revoked_at is None
    assert broken() == {}


def test_a_line_of_gifts_that_goes_back_whole_ends_the_claimed_ones_too(buyer, course, learner):
    order, gifts = gift_order(buyer, course(), [500, 500])
    friend = learner()
    claim(gifts[0], friend)

    give_back(order, by=staff("one"), cause="operator", reason="课程下架")

    assert states(gifts) == ["revoked", "returned"]
    assert Entitlement.objects.get(user=friend).revoked_at is not None
    assert broken() == {}


def test_goodwill_for_gifts_takes_the_codes_that_fit_into_it(buyer, course):
    order, gifts = gift_order(buyer, course(), [500, 500])

    give_back(order, by=staff("one"), cause="operator", amount_fen=700, reason="补偿")

    assert states(gifts) == ["returned", "issued"]
    # 300 are left, less than a piece
    with pytest.raises(NothingToRefund):
        ask(order)


def test_overdue_gifts_go_back_by_the_shop(buyer, course):
    order, gifts = gift_order(buyer, course(), [500, 500, 500])

    refund = refund_by_shop(
        order_id=order.pk, reason="礼品到期未领取", gift_ids=[gifts[1].pk, gifts[2].pk]
    )

    assert refund is not None
    assert refund.amount_fen == 1000
    assert states(gifts) == ["issued", "returning", "returning"]
    tell(refund)
    assert states(gifts) == ["issued", "returned", "returned"]
    assert refund_by_shop(order_id=order.pk, reason="x", gift_ids=[gifts[1].pk]) is None
    assert refund_by_shop(order_id=order.pk, reason="x", gift_ids=[]) is None


@pytest.mark.parametrize(("status", "count"), [("open", 1), ("complete", 2), ("failed", 2)])
def test_a_member_who_leaves_frees_a_seat_while_the_group_is_open(
    buyer, course, pending, status, count
):
    product = course()
    at = clock.now()
    offer = GroupOffer.objects.create(product=product, price_fen=9900, size=3)
    group = Group.objects.create(
        offer=offer, leader=buyer, price_fen=9900, size=3, paid_count=2,
        created_at=at, expires_at=at + timedelta(days=1),
    )  # fmt: skip
    order = pending(product)
    pay(order)
    Order.objects.filter(pk=order.pk).update(group=group)
    Group.objects.update(status=status, paid_count=2, ended_at=None if status == "open" else at)

    give_back(order, amount_fen=900)
    kept = Group.objects.get().paid_count
    give_back(order)

    assert (kept, Group.objects.get().paid_count) == (2, count)


def invoice(order: Order, **fields: Any) -> Invoice:
    return Invoice.objects.create(
        order=order, kind="personal", title="张三", email="a@example.com", amount_fen=9900, **fields
    )


def test_a_requested_invoice_is_over_what_is_left(course, pending):
    order = pending(course())
    pay(order)
    asked = invoice(order)

    give_back(order, amount_fen=900)
    asked.refresh_from_db()
    lowered = (asked.status, asked.amount_fen)
    give_back(order)
    asked.refresh_from_db()

    assert lowered == ("requested", 9000)
    assert (asked.status, asked.amount_fen) == ("cancelled", 0)


def test_an_issued_invoice_has_to_be_corrected(course, pending):
    order = pending(course())
    pay(order)
    made = invoice(order, status="issued", number="0042")

    give_back(order, amount_fen=900)

    made.refresh_from_db()
    assert (made.status, made.amount_fen) == ("to_correct", 9900)


@pytest.mark.parametrize(
    "news",
    [
        ["PROCESSING", "SUCCESS", "PROCESSING", "CLOSED", "ABNORMAL", "SUCCESS"],
        ["ABNORMAL", "PROCESSING", "SUCCESS", "CLOSED"],
        ["SUCCESS", "SUCCESS"],
    ],
)
def test_news_in_any_order_takes_effect_once(course, pending, news):
    order = pending(course())
    pay(order)
    refund = ask(order)

    for status in news:
        told = tell(refund, status)

    assert told.status == "succeeded"
    assert Journal.objects.filter(kind="refund").count() == 1
    assert OutboxRow.objects.filter(kind="payments.refund_succeeded").values("handler").distinct()
    assert broken() == {}


def test_an_abnormal_refund_stays_reserved(course, pending):
    order = pending(course())
    pay(order)
    refund = ask(order)

    tell(refund, "ABNORMAL")

    assert money(order) == (9900, 0, [9900], [0])
    with pytest.raises(NothingToRefund):
        ask(order)
    assert broken() == {}


def test_money_that_went_back_under_a_closed_number_counts_while_there_is_room(course, pending):
    order = pending(course())
    pay(order)
    first = tell(ask(order), "CLOSED")

    told = tell(first)

    assert (told.status, fresh(order).status) == ("succeeded", "refunded")
    assert money(order) == (0, 9900, [0], [9900])
    assert broken() == {}

    other = pending(course())
    pay(other)
    closed = tell(ask(other), "CLOSED")
    ask(other)
    with pytest.raises(FactsDiffer):
        tell(closed)


def test_facts_that_differ_change_nothing(course, pending):
    order = pending(course())
    pay(order)
    refund = ask(order)

    for changed in ({"refund_fen": 1}, {"out_trade_no": "other"}, {"out_refund_no": "other"}):
        with pytest.raises(FactsDiffer):
            refund_told(refund_id=refund.pk, facts=said(refund, **changed))
    assert money(order) == (9900, 0, [9900], [0])


def of_platform(payment: Payment, fen: int | None, status: str = "SUCCESS", no: str = "P-1") -> Any:
    refund = Refund(payment=payment, out_refund_no=no, amount_fen=fen or 0)
    return said(refund, status, refund_fen=fen)


def test_a_refund_that_the_platform_made_is_ours_too(buyer, course):
    order = paid_order(buyer, course(), (5000, 0, 0), (3000, 0, 0))
    payment = Payment.objects.get()

    refund = refund_adopt(facts=of_platform(payment, 801), out_trade_no=payment.out_trade_no)
    again = refund_adopt(facts=of_platform(payment, 801), out_trade_no=payment.out_trade_no)

    assert refund == again
    assert refund is not None
    assert (refund.cause, refund.status, refund.out_refund_no) == ("platform", "succeeded", "P-1")
    # 801 · 5/8 = 500.6, 801 · 3/8 = 300.4
    assert money(order) == (0, 801, [0, 0], [501, 300])
    assert fresh(order).status == "partially_refunded"
    assert broken() == {}


def test_a_platforms_refund_that_runs_is_followed_and_a_closed_one_is_none(course, pending):
    order = pending(course())
    payment = pay(order)

    running = refund_adopt(
        facts=of_platform(payment, 100, "PROCESSING"), out_trade_no=payment.out_trade_no
    )
    closed = refund_adopt(
        facts=of_platform(payment, 100, "CLOSED", "P-2"), out_trade_no=payment.out_trade_no
    )

    assert running is not None
    assert (running.status, running.next_check_at is not None) == ("processing", True)
    assert closed is None
    assert money(order)[0] == 100


def test_what_does_not_fit_is_left_to_a_person(buyer, course, pending):
    order = pending(course())
    payment = pay(order)
    ask(order, amount_fen=9000)
    late = pending(course())
    Order.objects.filter(pk=late.pk).update(status="cancelled")

    from payments.errors import RefundExceedsPaid

    with pytest.raises(RefundExceedsPaid) as beyond:
        refund_adopt(facts=of_platform(payment, 901), out_trade_no=payment.out_trade_no)
    for facts in (of_platform(payment, None), of_platform(payment, 0)):
        with pytest.raises(FactsDiffer):
            refund_adopt(facts=facts, out_trade_no=payment.out_trade_no)
    with pytest.raises(FactsDiffer):
        refund_adopt(facts=of_platform(payment, 5), out_trade_no="not-ours")

    assert beyond.value.detail == {"left_fen": 900}
    assert Refund.objects.count() == 1


def test_stray_money_stays_what_it_was(buyer, course, pending):
    from payments.errors import RefundExceedsPaid
    from payments.services.fulfilment import payment_succeeded

    order = pending(course())
    payment = attempt(order)
    Order.objects.filter(pk=order.pk).update(status="cancelled")
    payment_succeeded(facts=money_for(payment))
    refund = Refund.objects.get()

    with pytest.raises(RefundExceedsPaid):
        refund_adopt(facts=of_platform(payment, 9900), out_trade_no=payment.out_trade_no)
    tell(refund, "CLOSED")
    second = Refund.objects.exclude(pk=refund.pk).get()
    tell(second)

    order = fresh(order)
    assert (order.status, order.refunded_fen) == ("cancelled", 0)
    assert (second.cause, books()) == ("late_payment", {})
    assert broken() == {}
