"""Gifts: codes for others, claimed once, returned when nobody claims them."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings

from incentives.services import coupon_claim, coupon_template_save
from kernel import clock, outbox
from kernel.errors import NotFound
from payments import selectors, tasks
from payments.errors import AlreadyOwned, GiftClaimed, GiftReturned, NotSoldHere
from payments.models import Effect, Entitlement, Gift, Order, Payment, Refund
from payments.services import order_end, order_make, product_publish
from payments.services.codes import code_of
from payments.services.fulfilment import payment_succeeded
from payments.services.gifts import gift_claim, gift_order
from payments.services.returns import gifts_return
from tests.builders import client_for, make_learner
from tests.incentives.conftest import all_at_once, deadlocks
from tests.payments.conftest import attempt, broken, make_buyer, money_for, pay, sums

pytestmark = pytest.mark.django_db


@pytest.fixture
def giving(buyer):
    """`giving(product, 3)` are the gifts of a paid order of the buyer."""

    def make(product, quantity=1, **fields):
        order = gift_order(
            user=buyer, product_id=product.pk, quantity=quantity, platform="android", **fields
        )
        if order.status == "pending":
            pay(order)
        return list(Gift.objects.filter(line__order=order).order_by("number"))

    return make


def overdue():
    """Every gift's time is over."""
    Gift.objects.update(
        expires_at=clock.now() - timedelta(seconds=1),
        next_sweep_at=clock.now() - timedelta(seconds=1),
    )


def http_gift(http, product, key="g1", **fields):
    body = {"product_id": str(product.pk), "platform": "android", **fields}
    return http.post("/api/v1/gifts", body, format="json", headers={"Idempotency-Key": key})


def test_a_paid_gift_line_makes_one_code_per_piece(buyer, course, giving):
    product = course(price_fen=3333)

    gifts = giving(product, 3, message="一起学习")

    order = Order.objects.get()
    line = order.lines.get()
    assert (line.kind, line.scope, line.gives) == ("gift", "", product.scope)
    assert (order.payable_fen, [gift.amount_fen for gift in gifts]) == (9999, [3333] * 3)
    assert {gift.message for gift in gifts} == {"一起学习"}
    codes = [code_of(gift) for gift in gifts]
    assert len(set(codes)) == 3
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}", c) for c in codes)
    assert not any(code in gift.code_sealed for code, gift in zip(codes, gifts, strict=True))
    assert not Entitlement.objects.exists()
    assert gifts[0].expires_at - gifts[0].created_at == timedelta(days=settings.KPAY.gift_days)
    assert broken() == []


def test_pieces_of_a_reduced_line_are_worth_its_payable_to_the_fen(buyer, course, giving):
    template = coupon_template_save(key="t", title="券", discount_fen=1000, budget_count=9)
    ticket = coupon_claim(user_id=buyer.pk, template_id=template.pk)

    gifts = giving(course(price_fen=3000), 3, coupon_id=ticket.pk)

    # 90.00 − 10.00 = 80.00 over three: 26.67, 26.67, 26.66
    assert [gift.amount_fen for gift in gifts] == [2667, 2667, 2666]


def test_an_unpaid_order_has_no_codes_and_a_free_one_has_them_at_once(buyer, course, giving):
    order = gift_order(user=buyer, product_id=course().pk, quantity=2, platform="android")
    assert (order.status, Gift.objects.count()) == ("pending", 0)

    gifts = giving(course(price_fen=0), 2)

    assert [gift.amount_fen for gift in gifts] == [0, 0]


def test_whoever_claims_a_code_may_use_what_it_opens(course, giving):
    product, friend = course(), make_learner()
    (gift,) = giving(product)
    typed = code_of(gift).lower().replace("-", " ").replace("0", "o").replace("1", "l")

    first = gift_claim(user=friend, code=typed)
    again = gift_claim(user=friend, code=code_of(gift))

    assert selectors.entitled(friend.pk, product.scope)
    right = Entitlement.objects.get()
    assert (right.source, right.source_ref) == ("gift", str(gift.pk))
    assert Effect.objects.get(kind="gift").ref == str(gift.pk)
    assert first.entitlement == again.entitlement
    assert again.gift.claimed_at == first.gift.claimed_at
    assert broken() == []


def test_a_claimed_code_is_nobody_elses(course, giving):
    (gift,) = giving(course())
    gift_claim(user=make_learner(), code=code_of(gift))

    with pytest.raises(GiftClaimed):
        gift_claim(user=make_learner(), code=code_of(gift))


def test_an_owner_wastes_no_gift(buyer, course, pending, giving):
    product = course()
    pay(pending(product))
    (gift,) = giving(product)  # the buyer may give what they own

    with pytest.raises(AlreadyOwned):
        gift_claim(user=buyer, code=code_of(gift))

    gift.refresh_from_db()
    assert gift.status == "issued"


def test_an_unknown_code_opens_nothing(course, giving):
    giving(course())

    with pytest.raises(NotFound):
        gift_claim(user=make_learner(), code="00000-00000-00000-00000")


def test_a_gift_product_is_quoted_and_ordered_by_the_piece(buyer, course):
    scope = course().scope
    product = product_publish(
        scope=scope, title="礼品卡", kind="gift", price_fen=5000, list_fen=6000,
        channels=["jsapi"],
    )  # fmt: skip

    order = order_make(
        user=buyer, items=[{"product_id": product.pk, "quantity": 4}], platform="android"
    )
    pay(order)

    assert (order.total_fen, order.payable_fen) == (24000, 20000)
    assert set(Gift.objects.values_list("scope", "amount_fen")) == {(scope, 5000)}
    assert selectors.products_for_scopes([scope])[scope] == [
        p for p in selectors.products_for_scopes([scope])[scope] if p.kind == "course"
    ]


def test_a_course_and_a_gift_of_it_stand_in_one_order(buyer, course):
    product = course(price_fen=9900)
    card = product_publish(
        scope=product.scope, title="礼品卡", kind="gift", price_fen=9000, list_fen=9000,
        channels=["jsapi"],
    )  # fmt: skip

    order = order_make(
        user=buyer,
        items=[{"product_id": product.pk, "quantity": 1}, {"product_id": card.pk, "quantity": 2}],
        platform="android",
    )
    payment = pay(order)

    assert selectors.entitled(buyer.pk, product.scope)
    assert Gift.objects.count() == 2
    assert sums(payment.out_trade_no)["cash:jsapi"] == 27900
    assert broken() == []


def test_memberships_and_bundles_are_no_gifts(buyer, course, plan, bundle):
    http = client_for(buyer)

    replies = [
        http_gift(http, product, key=str(n))
        for n, product in enumerate((plan().product, bundle(course())))
    ]

    assert [reply.status_code for reply in replies] == [400, 400]


def test_a_gift_that_is_not_sold_here(buyer, course):
    with pytest.raises(NotSoldHere):
        gift_order(user=buyer, product_id=course(channels=["jsapi"]).pk, quantity=1, platform="ios")


def test_late_money_makes_the_codes_too(buyer, course):
    order = gift_order(user=buyer, product_id=course().pk, quantity=2, platform="android")
    payment = attempt(order)
    Payment.objects.update(status="closed")
    order_end(order_id=order.pk, status="closed")

    payment_succeeded(facts=money_for(payment))

    assert Gift.objects.count() == 2
    assert broken() == []


def test_gifts_that_nobody_claims_go_back_in_one_refund(course, giving):
    gifts = giving(course(price_fen=3000), 3)
    friend = make_learner()
    gift_claim(user=friend, code=code_of(gifts[1]))
    overdue()

    tasks.return_gifts()

    refund = Refund.objects.get()
    assert (refund.amount_fen, refund.cause, refund.reason) == (6000, "operator", "礼品到期未领取")
    assert list(Gift.objects.order_by("number").values_list("status", flat=True)) == [
        "returning",
        "claimed",
        "returning",
    ]
    with pytest.raises(GiftReturned):
        gift_claim(user=make_learner(), code=code_of(gifts[0]))
    assert tasks.return_gifts() == 0
    assert Refund.objects.count() == 1
    assert broken() == []


def test_an_overdue_gift_is_not_claimed_before_the_sweep_either(course, giving):
    (gift,) = giving(course())
    overdue()

    with pytest.raises(GiftReturned):
        gift_claim(user=make_learner(), code=code_of(gift))


def test_a_gift_worth_nothing_is_just_returned(course, giving):
    giving(course(price_fen=0), 2)
    overdue()

    tasks.return_gifts()

    assert set(Gift.objects.values_list("status", flat=True)) == {"returned"}
    assert not Refund.objects.exists()
    assert tasks.return_gifts() == 0


def test_the_api_of_a_gift(buyer, course):
    product, http, friend = course(price_fen=9900), client_for(buyer), make_learner()
    bought = http_gift(http, product, quantity=2, message="生日快乐")
    replayed = http_gift(http, product, quantity=2, message="生日快乐")
    pay(Order.objects.get())

    listed = http.get("/api/v1/gifts?limit=1").json()
    code = listed["items"][0]["code"]
    theirs = client_for(friend)
    seen = theirs.get(f"/api/v1/gifts/{code}").json()
    claimed = theirs.post(f"/api/v1/gifts/{code}/claim")
    again = theirs.post(f"/api/v1/gifts/{code.lower()}/claim")
    other = client_for(make_learner()).post(f"/api/v1/gifts/{code}/claim")

    assert bought.status_code == 201
    assert bought.json() == replayed.json()
    assert (bought.json()["order"]["payable_fen"], bought.json()["gifts"]) == (19800, [])
    assert listed["next_cursor"] is not None
    assert (seen["status"], seen["message"]) == ("issued", "生日快乐")
    assert seen["giver"]["nickname"] == buyer.nickname
    assert "code" not in seen
    assert claimed.status_code == 200
    assert claimed.json()["scope"] == product.scope
    assert again.json() == claimed.json()
    assert (other.status_code, other.json()["error"]["code"]) == (409, "gift_claimed")
    shown = http.get("/api/v1/gifts").json()["items"][0]
    assert (shown["status"], shown["claimed_by"]["nickname"]) == ("claimed", friend.nickname)
    assert theirs.get("/api/v1/gifts").json()["items"] == []
    assert theirs.get("/api/v1/gifts/nothing").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [{"quantity": 0}, {"quantity": 100}, {"message": "a\nb"}, {"message": "x" * 201}],
)
def test_bad_gifts_are_refused(buyer, course, fields):
    assert http_gift(client_for(buyer), course(), **fields).status_code == 400


def test_guesses_of_codes_are_counted(settings, buyer, course, giving):
    settings.KPAY = replace(settings.KPAY, rate_limits=True)
    (gift,) = giving(course())
    http = client_for(make_learner())

    replies = [http.get("/api/v1/gifts/wrong").status_code for _ in range(20)]
    right = http.post(f"/api/v1/gifts/{code_of(gift)}/claim")

    assert replies == [404] * 20
    assert right.status_code == 429


def test_a_gift_order_needs_its_key(buyer, course):
    body = {"product_id": str(course().pk), "platform": "android"}

    assert client_for(buyer).post("/api/v1/gifts", body, format="json").status_code == 400


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_one_claims(buyer, course, giving):
    (gift,) = giving(course())
    code, people = code_of(gift), [make_learner() for _ in range(20)]
    before = deadlocks()

    results = all_at_once(20, lambda number: gift_claim(user=people[number], code=code))

    refused = [r for r in results if isinstance(r, Exception)]
    assert [type(r) for r in refused] == [GiftClaimed] * 19, refused
    assert Entitlement.objects.count() == 1
    assert deadlocks() == before
    outbox.deliver_due()
    assert broken() == []


@pytest.mark.django_db(transaction=True)
def test_a_claim_and_the_return_of_the_same_gift_never_both_happen(buyer, course, giving):
    for _round in range(5):
        (gift,) = giving(course(price_fen=1000))
        Gift.objects.filter(pk=gift.pk).update(
            expires_at=clock.now() + timedelta(milliseconds=150), next_sweep_at=clock.now()
        )
        code, order_id = code_of(gift), gift.line.order_id
        person = make_learner()

        def step(number, code=code, order_id=order_id, person=person):
            if number % 2:
                return gift_claim(user=person, code=code)
            return gifts_return(order_id=order_id)

        results = all_at_once(8, step)
        gifts_return(order_id=order_id)

        odd = [r for r in results if isinstance(r, Exception) and not isinstance(r, GiftReturned)]
        assert not odd
        gift.refresh_from_db()
        owned = Entitlement.objects.filter(user=person).count()
        refunded = Refund.objects.filter(order_id=order_id).count()
        assert (gift.status, owned, refunded) in {("claimed", 1, 0), ("returning", 0, 1)}
    assert broken() == []


@pytest.mark.django_db(transaction=True)
def test_the_money_of_an_unclaimed_gift_really_goes_back(sandbox, live_server, course):
    giver = make_buyer(sandbox.user()["openid"])
    http = client_for(giver)
    no = http_gift(http, course(price_fen=5000), quantity=2).json()["order"]["no"]
    paying = http.post(
        f"/api/v1/orders/{no}/pay", {"channel": "jsapi"}, format="json",
        headers={"Idempotency-Key": "p"},
    ).json()  # fmt: skip
    sandbox.pay(paying["out_trade_no"])
    kept, lost = http.get("/api/v1/gifts").json()["items"]
    friend = client_for(make_learner())
    assert friend.post(f"/api/v1/gifts/{kept['code']}/claim").status_code == 200

    outbox.deliver_due()
    sandbox.advance(settings.KPAY.gift_days * 86400 + 1)
    tasks.return_gifts()
    tasks.send_refunds()
    sandbox.settle_refund(Refund.objects.get().out_refund_no)

    order = client_for(giver).get(f"/api/v1/orders/{no}").json()
    assert (order["status"], order["refunded_fen"]) == ("partially_refunded", 5000)
    states = {gift.pk: gift.status for gift in Gift.objects.all()}
    assert states == {int(kept["id"]): "claimed", int(lost["id"]): "returned"}
    assert broken() == []
