"""What buyers and operators may ask for, and what is reserved by it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kernel import clock
from kernel.errors import Forbidden, InvalidInput, NotFound
from kernel.models import StaffAction
from payments import ports
from payments.errors import (
    NothingToRefund,
    OrderNotPaid,
    OwnRefund,
    RefundExceedsPaid,
    RefundNotByMerchant,
    RefundNotInPolicy,
    RefundNotWaiting,
)
from payments.models import Order, Payment, Refund, RefundPolicy
from payments.services.refunds import (
    refund_approve,
    refund_ask_again,
    refund_by_shop,
    refund_close,
    refund_reject,
)
from tests.builders import client_for, make_learner
from tests.payments.conftest import pay
from tests.payments.refunding import ask, fresh, give_back, money, paid_order, staff, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def watched():
    """`watched[scope] = 4000` says that 40 % of it was watched."""
    shares: dict[str, int] = {}
    before = ports._watched
    ports.register_watched_source(lambda user_id, scope: shares.get(scope, 0))
    yield shares
    ports.register_watched_source(before)


@pytest.fixture
def http(buyer):
    return client_for(buyer)


def post(http: Any, order: Order, body: Any = None, key: str = "k", to: str = "refunds") -> Any:
    return http.post(
        f"/api/v1/orders/{order.no}/{to}",
        {"reason": "不合适"} if body is None else body,
        format="json",
        headers={"Idempotency-Key": key} if key else {},
    )


def code(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def paid_days_ago(order: Order, days: int) -> Order:
    at = clock.now() - timedelta(days=days)
    Order.objects.filter(pk=order.pk).update(paid_at=at)
    Payment.objects.filter(order=order).update(success_at=at)
    return fresh(order)


def test_a_fresh_order_goes_back_in_full_by_itself(buyer, course, pending, http):
    order = pending(course(price_fen=9900))
    pay(order)

    reply = post(http, order)

    shown = reply.json()
    assert (reply.status_code, shown["status"], shown["approval"]) == (201, "requested", "none")
    assert (shown["amount_fen"], shown["cause"], shown["order_no"]) == (9900, "user", order.no)
    assert shown["lines"] == [{"line_no": 1, "amount_fen": 9900}]
    assert money(order) == (9900, 0, [9900], [0])
    assert fresh(order).status == "paid"
    assert http.get(f"/api/v1/refunds/{shown['no']}").json() == shown
    assert http.get(f"/api/v1/orders/{order.no}").json()["refunds"] == [
        {"no": shown["no"], "status": "requested", "amount_fen": 9900, "cause": "user"}
    ]


def test_the_same_key_gives_the_same_refund_and_another_key_finds_nothing_left(
    course, pending, http
):
    order = pending(course())
    pay(order)

    first, again, other = post(http, order), post(http, order), post(http, order, key="k2")

    assert first.json() == again.json()
    assert code(other) == (409, "nothing_to_refund")
    assert code(post(http, order, key="")) == (400, "invalid_input")
    assert code(post(http, order, {"reason": "else"})) == (422, "idempotency_key_reused")
    assert Refund.objects.count() == 1


def test_parts_are_asked_for_by_line_or_spread(buyer, course, http):
    order = paid_order(buyer, course(), (5000, 0, 0), (3000, 0, 0), (2000, 0, 0))

    by_line = post(http, order, {"lines": [{"line_no": 2, "amount_fen": 1000}]}, key="1")
    spread = post(http, order, {"amount_fen": 901}, key="2")

    assert by_line.json()["lines"] == [{"line_no": 2, "amount_fen": 1000}]
    # left are 5000, 2000, 2000: 901 · 5/9 = 500.56, 901 · 2/9 = 200.22 twice
    assert [part["amount_fen"] for part in spread.json()["lines"]] == [501, 200, 200]
    assert money(order)[:3] == (1901, 0, [501, 1200, 200])


@pytest.mark.parametrize(
    "body",
    [
        {"amount_fen": 0},
        {"amount_fen": -1},
        {"amount_fen": "x"},
        {"amount_fen": 1.5},
        {"amount_fen": 10**12},
        {"lines": []},
        {"lines": [{"line_no": 1}]},
        {"lines": [{"line_no": 1, "amount_fen": 0}]},
        {"lines": [{"line_no": 1, "amount_fen": -5}]},
        {"lines": [{"line_no": 9, "amount_fen": 5}]},
        {"lines": [{"line_no": 1, "amount_fen": 5}, {"line_no": 1, "amount_fen": 5}]},
        {"lines": [{"line_no": 1, "amount_fen": 5}], "amount_fen": 6},
        {"lines": "all"},
        {"lines": [[]]},
        {"reason": "x" * 201},
        {"reason": "\x00"},
    ],
)
@pytest.mark.parametrize("to", ["refunds", "refund-quote"])
def test_what_can_not_be_understood_is_refused(course, pending, http, body, to):
    order = pending(course())
    pay(order)
    if to == "refund-quote" and "reason" in body:
        body = {"amount_fen": True, "lines": [None]}

    reply = post(http, order, body, to=to)

    assert code(reply) == (400, "invalid_input")
    assert any("一" <= c <= "龥" for c in reply.json()["error"]["message"])
    assert money(order)[0] == 0


def test_more_than_was_paid_and_more_than_the_policy_gives(course, pending, http, watched):
    product = course(price_fen=9900)
    order = pending(product)
    pay(order)
    watched[product.scope] = 3000
    RefundPolicy.objects.create(tail="unused", tail_days=30)

    beyond = post(http, order, {"amount_fen": 9901})
    beyond_line = post(http, order, {"lines": [{"line_no": 1, "amount_fen": 9901}]})
    refused = post(http, order, {"amount_fen": 6931})

    assert code(beyond) == code(beyond_line) == (409, "refund_exceeds_paid")
    assert beyond.json()["error"]["detail"] == {"left_fen": 9900}
    assert code(refused) == (409, "refund_not_in_policy")
    # 70 % of 9900 are unused
    assert refused.json()["error"]["detail"] == {"allowed_fen": 6930}
    assert post(http, order).json()["amount_fen"] == 6930
    assert post(http, order, key="2").json()["error"]["code"] == "nothing_to_refund"
    assert post(http, order, {"amount_fen": 2971}, key="3").json()["error"]["detail"] == {
        "left_fen": 2970
    }


def test_a_week_later_nothing_goes_back_and_the_quote_says_why(course, pending, http):
    order = pending(course())
    pay(order)
    paid_days_ago(order, 8)

    quote = post(http, order, {}, to="refund-quote").json()
    reply = post(http, order)

    assert (quote["refundable_fen"], quote["left_fen"], quote["amount_fen"]) == (0, 9900, 0)
    assert quote["lines"][0]["policy"] == "付款已超过 7 天，不再退款。"
    assert code(reply) == (409, "nothing_to_refund")


def test_the_row_of_a_product_beats_its_kind_and_that_beats_all(buyer, course, pending):
    product, other = course(), course()
    order = pending(product, other)
    pay(order)
    paid_days_ago(order, 20)
    RefundPolicy.objects.create(full_days=30)
    RefundPolicy.objects.create(kind="course", full_days=10)
    RefundPolicy.objects.create(product=product, full_days=21)

    assert ask(order).amount_fen == 9900  # the first line alone
    RefundPolicy.objects.filter(kind="course").delete()
    assert ask(order).amount_fen == 9900  # now the second, by the row for everything


def test_orders_that_took_no_money_give_none_back(buyer, course, pending, http):
    waiting, free = pending(course()), pending(course(price_fen=0, list_fen=100))
    stranger = client_for(make_learner())

    assert code(post(http, waiting)) == (409, "order_not_paid")
    assert post(http, waiting).json()["error"]["detail"] == {"status": "pending"}
    assert code(post(http, free)) == (409, "nothing_to_refund")
    assert code(post(http, waiting, {}, to="refund-quote")) == (409, "order_not_paid")
    quote = post(http, free, {}, to="refund-quote").json()
    assert (quote["amount_fen"], quote["lines"][0]["refundable_fen"]) == (0, 0)
    for to in ("refunds", "refund-quote"):
        assert code(post(stranger, waiting, to=to)) == (404, "not_found")
        assert code(post(http, waiting_like("9" * 24), to=to)) == (404, "not_found")


def waiting_like(no: str) -> Order:
    return Order(no=no)


def test_the_quote_shows_each_line_with_its_effects(buyer, course, http, watched):
    order = paid_order(buyer, course(), (5000, 0, 0), (3000, 0, 0), (0, 1000, 0))
    lines = list(order.lines.order_by("line_no"))
    watched[lines[0].scope] = 1234
    watched[lines[1].scope] = 5000

    all_ = post(http, order, {}, to="refund-quote").json()
    part = post(http, order, {"amount_fen": 100}, to="refund-quote").json()

    assert (all_["amount_fen"], all_["refundable_fen"], all_["left_fen"]) == (5000, 5000, 8000)
    assert all_["automatic"]
    assert [line["watched_bp"] for line in all_["lines"]] == [1234, 5000, 0]
    assert [line["refundable_fen"] for line in all_["lines"]] == [5000, 0, 0]
    assert [line["effects"]["access"] for line in all_["lines"]] == [True, False, False]
    assert (part["amount_fen"], part["effects"]["access"]) == (100, False)
    assert not Refund.objects.exists()


def test_above_the_limit_somebody_decides_first(course, pending, http):
    order = pending(course(price_fen=50_001))
    pay(order)

    quote = post(http, order, {}, to="refund-quote").json()
    shown = post(http, order).json()

    refund = Refund.objects.get()
    assert (quote["automatic"], shown["approval"], shown["status"]) == (
        False,
        "waiting",
        "requested",
    )
    assert shown["message"] == "退款申请正在等待人工审核。"
    assert refund.next_check_at is None
    assert money(order)[0] == 50_001

    refund_approve(refund_id=refund.pk, by=staff("boss"), note="可以")
    refund_approve(refund_id=refund.pk, by=staff("boss2"))
    refund.refresh_from_db()
    assert (refund.approval, refund.decided_by.username) == ("approved", "boss")
    assert refund.next_check_at is not None
    assert StaffAction.objects.get().action == "payments.refund_approve"


def test_a_rejected_refund_frees_its_amount_and_tells_why(course, pending, http):
    order = pending(course(price_fen=60_000))
    pay(order)
    no = post(http, order).json()["no"]
    refund = Refund.objects.get()
    boss = staff("boss")

    with pytest.raises(InvalidInput):
        refund_reject(refund_id=refund.pk, by=boss, reason=" ")
    refund_reject(refund_id=refund.pk, by=boss, reason="已学完并下载资料")
    refund_reject(refund_id=refund.pk, by=boss, reason="again")

    shown = http.get(f"/api/v1/refunds/{no}").json()
    assert (shown["status"], shown["message"]) == ("rejected", "已学完并下载资料")
    assert money(order) == (0, 0, [0], [0])
    assert post(http, order, key="2").status_code == 201
    with pytest.raises(RefundNotWaiting):
        refund_approve(refund_id=refund.pk, by=boss)


def test_a_buyer_does_not_get_round_the_limit_in_parts(course, pending):
    order = pending(course(price_fen=60_000))
    pay(order)

    parts = [ask(order, amount_fen=20_000).approval for _ in range(3)]

    assert parts == ["none", "none", "waiting"]


def test_an_operator_gives_any_rest_and_a_second_one_decides_above_the_limit(
    course, pending, settings
):
    settings.KPAY = replace(settings.KPAY, refund_auto_limit_fen=5000)
    order = pending(course(price_fen=9900))
    pay(order)
    paid_days_ago(order, 100)
    one, two = staff("one"), staff("two")

    small = ask(order, by=one, cause="operator", amount_fen=4000, reason="课程有误")
    # 4000 + 1001 pass the limit together
    large = ask(order, by=one, cause="operator", amount_fen=1001, reason="再退一些")

    assert (small.approval, large.approval) == ("none", "waiting")
    assert StaffAction.objects.filter(action="payments.refund_request").count() == 2
    with pytest.raises(OwnRefund):
        refund_approve(refund_id=large.pk, by=one)
    with pytest.raises(OwnRefund):
        refund_reject(refund_id=large.pk, by=one, reason="不退了")
    with pytest.raises(RefundExceedsPaid) as beyond:
        ask(order, by=two, cause="operator", amount_fen=4900, reason="x")
    assert beyond.value.detail == {"left_fen": 4899}
    assert refund_approve(refund_id=large.pk, by=two).approval == "approved"


def test_nobody_refunds_an_order_of_their_own_alone(course, pending):
    boss, other = staff("boss"), staff("other")
    order = pending(course(price_fen=9900), user=boss)
    pay(order)

    refund = ask(order, by=boss, cause="operator", amount_fen=1, reason="x")
    second = ask(order, by=other, cause="operator", amount_fen=1, reason="x")

    assert (refund.approval, second.approval) == ("waiting", "none")
    with pytest.raises(OwnRefund):
        refund_approve(refund_id=refund.pk, by=boss)


def test_somebody_elses_order_is_not_there(course, pending, learner):
    order = pending(course())
    pay(order)

    with pytest.raises(NotFound):
        ask(order, by=learner())


def test_who_may_not_is_refused(course, pending):
    order = pending(course(price_fen=60_000))
    pay(order)
    service, nobody = staff("service", "view_refund", "add_refund"), staff("nobody", "view_refund")

    with pytest.raises(Forbidden):
        ask(order, by=nobody, cause="operator", reason="x")
    with pytest.raises(InvalidInput):
        ask(order, by=service, cause="operator", reason=" ")
    refund = ask(order, by=service, cause="operator", reason="客户投诉")
    for act in (refund_approve, refund_reject, refund_close, refund_ask_again):
        with pytest.raises(Forbidden):
            act(
                refund_id=refund.pk,
                by=service,
                **({} if act is refund_approve else {"reason": "x"}),
            )


def test_roles_say_who_requests_and_who_decides():
    from django.contrib.auth.models import Group

    from accounts import roles

    roles.sync()

    def may(role):
        found = Group.objects.get(name=role).permissions.filter(content_type__model="refund")
        return sorted(p.codename for p in found)

    assert may("service") == ["add_refund", "view_refund"]
    assert may("finance") == may("owner") == ["add_refund", "change_refund", "view_refund"]
    assert may("editor") == []


def test_a_membership_gives_back_by_the_time_that_is_over(buyer, plan, pending):
    order = pending(plan(price_fen=3000).product)
    pay(order)
    RefundPolicy.objects.create(kind="plan", full_days=0, tail="unused", tail_days=60)
    right = buyer_right(order)
    start, end = right.valid_from, right.valid_until
    # half of the period is over
    right.valid_from, right.valid_until = (
        start - (end - start) / 2, end - (end - start) / 2,
    )  # fmt: skip
    right.save()
    paid_days_ago(order, 15)

    refund = ask(order)

    assert refund.amount_fen in (1499, 1500)  # time goes on while this runs


def buyer_right(order):
    from payments.models import Entitlement

    return Entitlement.objects.get(source="order", source_ref=order.no)


def test_a_period_that_has_not_begun_is_not_used(buyer, plan, pending):
    product = plan(price_fen=3000).product
    first, second = pending(product), pending(product)
    pay(first)
    pay(second)

    assert ask(second).amount_fen == 3000
    assert give_back(first).amount_fen == 3000
    # the follower keeps its dates
    assert buyer_right(first).revoked_at is not None
    assert buyer_right(second).valid_from == buyer_right(first).valid_until


def test_apples_orders_are_refused_with_a_word_on_whom_to_ask(course, pending, http):
    order = pending(course())
    pay(order)
    Payment.objects.update(by_apple=True)

    quote = post(http, order, {}, to="refund-quote").json()

    assert quote["refundable_fen"] == 0
    assert "苹果" in quote["lines"][0]["policy"]
    assert code(post(http, order)) == (409, "refund_not_by_merchant")
    with pytest.raises(RefundNotByMerchant):
        refund_by_shop(order_id=order.pk, reason="x")


def test_the_shop_gives_back_what_is_left_without_anybody_asking(course, pending):
    order = pending(course(price_fen=60_000))
    pay(order)
    paid_days_ago(order, 100)
    give_back(order, by=staff("one"), cause="operator", amount_fen=1000, reason="x")

    refund = refund_by_shop(order_id=order.pk, reason="未成团")

    assert refund is not None
    assert (refund.amount_fen, refund.approval, refund.requested_by) == (59_000, "none", None)
    assert refund_by_shop(order_id=order.pk, reason="未成团") is None
    with pytest.raises(OrderNotPaid):
        refund_by_shop(order_id=pending(course()).pk, reason="x")


def test_a_closed_refund_is_free_to_be_asked_for_again(course, pending):
    order = pending(course())
    pay(order)
    first = ask(order)

    tell(first, "CLOSED")
    again = ask(order)

    assert again.out_refund_no != first.out_refund_no
    assert money(order) == (9900, 0, [9900], [0])


def test_an_order_that_went_back_gives_nothing_more(course, pending):
    order = pending(course())
    pay(order)
    give_back(order)

    with pytest.raises(NothingToRefund):
        ask(order)
    with pytest.raises(RefundExceedsPaid):
        ask(order, amount_fen=1)


def test_money_of_the_policy_may_not_be_exceeded_by_line(buyer, course, watched):
    order = paid_order(buyer, course(), (5000, 0, 0), (3000, 0, 0))
    watched[order.lines.get(line_no=2).scope] = 9000

    with pytest.raises(RefundNotInPolicy) as refused:
        ask(order, lines=[{"line_no": 1, "amount_fen": 10}, {"line_no": 2, "amount_fen": 10}])

    assert refused.value.detail == {"allowed_fen": 0, "line_no": 2}


def test_refunds_of_one_payment_line_up_a_minute_apart(buyer, course, pending):
    order = pending(course())
    pay(order)

    due = [ask(order, amount_fen=1000).next_check_at for _ in range(3)]

    assert (due[1] - due[0]).total_seconds() >= 60
    assert (due[2] - due[1]).total_seconds() >= 60
    assert due[0] <= clock.now()
