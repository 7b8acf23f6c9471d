"""A bundle's price over what is in it: by hand, by properties, and as orders."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import clock
from kernel.money import largest_remainder
from payments import bundles, rules, selectors
from payments.errors import AlreadyOwned, BundleRefused, NotSoldHere
from payments.models import BundleItem, Entitlement, OrderLine, Product, Refund
from payments.services import bundle_set, order_make, quote_make
from payments.services.fulfilment import payment_succeeded
from payments.services.refunds import refund_request, refund_told
from payments.services.refunds.policy import standings
from tests.builders import client_for
from tests.payments.conftest import attempt, broken, money_for, pay, sums

pytestmark = pytest.mark.django_db


def whole(**fields):
    """A bundle as one item, before it is exploded."""
    values = {
        "line_no": 0,
        "product_id": 9,
        "kind": "bundle",
        "title": "套餐",
        "scope": "",
        "period": "",
        "quantity": 1,
        "list_fen": 0,
        "price_fen": 10000,
        "promo_fen": 10000,
        "price_rule": "bundle",
    }
    return rules.Item(**{**values, **fields})


def part(list_fen, price_fen=None, number=1, owned=False):
    price = list_fen if price_fen is None else price_fen
    return bundles.Part(f"课{number}", f"course:{number}", "", list_fen, price, owned)


def lines_of(bundle, parts, own_scope=False):
    return [rules.price_line(i) for i in bundles.exploded(bundle, parts, own_scope=own_scope)]


def succeed(refund):
    """The platform says that the money has gone back."""
    facts = rules.RefundFacts(
        refund.out_refund_no,
        refund.payment.out_trade_no,
        f"50{refund.pk}",
        "SUCCESS",
        refund.amount_fen,
        None,
    )
    refund_told(refund_id=refund.pk, facts=facts)


def steps(line):
    return [(step.rule, step.amount_fen) for step in line.steps]


def test_the_price_is_split_by_the_current_prices_of_what_is_in_it():
    # 100.00 over 99.00 : 49.00 : 49.00 of 197.00 → 50.2538, 24.8731, 24.8731
    priced = lines_of(whole(), [part(9900), part(5900, 4900), part(4900)])

    assert [line.payable_fen for line in priced] == [5026, 2487, 2487]
    assert [line.list_fen for line in priced] == [9900, 5900, 4900]
    assert steps(priced[1]) == [("list", 5900), ("bundle", -3413)]


def test_promotion_and_member_price_lower_every_line_and_lose_no_fen():
    bundle = whole(price_fen=10000, promo_fen=8001, member_fen=7000)

    priced = lines_of(bundle, [part(9900), part(4900), part(4900)])

    # 70.00 over 99 : 49 : 49 of 197 → 35.17766, 17.41116, 17.41116: one fen left, to the first
    assert [line.payable_fen for line in priced] == [3518, 1741, 1741]
    assert [[rule for rule, _fen in steps(line)] for line in priced] == 3 * [
        ["list", "bundle", "promotion", "member"]
    ]
    by_rule = {
        rule: sum(fen for line in priced for r, fen in steps(line) if r == rule)
        for rule in ("list", "bundle", "promotion", "member")
    }
    assert by_rule == {"list": 19700, "bundle": -9700, "promotion": -1999, "member": -1001}


def test_what_is_owned_is_left_out_and_its_share_is_not_charged():
    # The same split as for everybody: 50.26, 24.87, 24.87; the first is owned.
    parts = [part(9900, owned=True), part(4900, number=2), part(4900, number=3)]

    priced = lines_of(whole(), parts)

    assert [(line.item.title, line.payable_fen) for line in priced] == [
        ("课2", 2487),
        ("课3", 2487),
    ]
    assert "已拥有的 1 项不计价" in priced[0].steps[1].text


def test_a_bundle_never_costs_more_than_its_things_one_by_one():
    # The bundle asks for 100.00; its things cost 20.00 and 10.00 (list prices 20.00 and 70.00).
    priced = lines_of(whole(), [part(2000), part(7000, 1000)])

    assert [line.payable_fen for line in priced] == [2000, 1000]
    assert [line.list_fen for line in priced] == [2000, 7000]


def test_the_scope_of_the_bundle_itself_is_one_more_line_over_nothing():
    priced = lines_of(whole(scope="course:9"), [part(9900), part(4900)], own_scope=True)

    assert [line.item.scope for line in priced][-1] == "course:9"
    assert (priced[-1].list_fen, priced[-1].payable_fen) == (0, 0)
    assert sum(line.payable_fen for line in priced) == 10000


amounts = st.integers(0, 10**7)


@given(
    parts=st.lists(st.tuples(amounts, amounts, st.booleans()), min_size=1, max_size=12),
    price=amounts,
    promo=amounts,
    member=st.none() | amounts,
)
def test_no_fen_is_made_or_lost_in_any_step(parts, price, promo, member):
    made = [
        bundles.Part("课", f"course:{n}", "", max(a, b), min(a, b), owned)
        for n, (a, b, owned) in enumerate(parts)
    ]
    bundle = whole(price_fen=price, promo_fen=promo, member_fen=member)
    everything = [bundles.Part(p.title, p.scope, "", p.list_fen, p.price_fen) for p in made]

    priced = lines_of(bundle, made)
    for_all = lines_of(bundle, everything)

    singly = sum(p.price_fen for p in made)
    paid = min(fen for fen in (price, promo, member, singly) if fen is not None)
    shares = largest_remainder(paid, [p.price_fen for p in made])
    assert [line.payable_fen for line in for_all] == shares
    assert [line.list_fen for line in for_all] == [p.list_fen for p in made]
    assert [line.payable_fen for line in priced] == [
        share for share, p in zip(shares, made, strict=True) if not p.owned
    ]
    for line in (*priced, *for_all):
        assert sum(fen for _rule, fen in steps(line)) == line.payable_fen >= 0
        assert all(fen <= 0 for _rule, fen in steps(line)[1:])


@given(
    parts=st.lists(st.tuples(amounts, amounts), min_size=1, max_size=12), share=st.integers(0, 100)
)
def test_a_bundle_cheaper_than_its_things_lists_each_at_its_own_list_price(parts, share):
    made = [bundles.Part("课", f"course:{n}", "", max(p), min(p)) for n, p in enumerate(parts)]
    price = sum(p.price_fen for p in made) * share // 100

    priced = lines_of(whole(price_fen=price, promo_fen=price * 3 // 4, member_fen=price // 2), made)

    assert [line.list_fen for line in priced] == [p.list_fen for p in made]


def test_a_bundle_opens_everything_in_it(buyer, course, bundle, pending):
    first, second = course(price_fen=9900), course(price_fen=4900)
    order = pending(bundle(first, second, price_fen=10000, scope="course:777"))

    payment = pay(order)

    assert selectors.entitled_scopes(buyer.pk) == {first.scope, second.scope, "course:777"}
    assert Entitlement.objects.filter(source="order", source_ref=order.no).count() == 3
    lines = list(OrderLine.objects.order_by("line_no"))
    assert [(line.title, line.payable_fen) for line in lines] == [
        (first.title, 6689),
        (second.title, 3311),
        ("套餐", 0),
    ]
    assert {line.product_id for line in lines} == {order.lines.first().product_id}
    assert sums(payment.out_trade_no) == {
        "cash:jsapi": 10000,
        "discounts": 4800,
        "revenue": -14800,
    }


def test_a_membership_in_a_bundle_runs_for_its_period(buyer, course, plan, bundle, pending):
    month = plan("month", 3000).product
    pay(pending(month))

    order = pending(bundle(course(price_fen=3000), month, price_fen=4000))
    pay(order)

    first, second = Entitlement.objects.filter(scope="membership:vip").order_by("pk")
    assert second.valid_from == first.valid_until
    assert [line.payable_fen for line in order.lines.order_by("line_no")] == [2000, 2000]


def test_the_buyer_of_one_part_pays_the_rest(course, bundle, pending):
    first, second = course(price_fen=9900), course(price_fen=4900)
    made = bundle(first, second, price_fen=10000)
    pay(pending(first))

    order = pending(made)

    assert [(line.scope, line.payable_fen) for line in order.lines.all()] == [(second.scope, 3311)]


def test_the_buyer_of_every_part_buys_nothing(course, bundle, pending):
    parts = [course(), course()]
    made = bundle(*parts, scope="course:778")
    for product in parts:
        pay(pending(product))

    with pytest.raises(AlreadyOwned) as refused:
        pending(made)

    assert refused.value.detail == {"scopes": sorted(p.scope for p in parts)}


def test_money_for_a_bundle_of_which_a_part_was_bought_meanwhile_goes_back(course, bundle, pending):
    first, second = course(), course()
    order = pending(bundle(first, second))
    payment = attempt(order)
    pay(pending(first))

    payment_succeeded(facts=money_for(payment))

    order.refresh_from_db()
    assert order.status == "closed"
    assert Refund.objects.get().cause == "duplicate_payment"


def test_a_quote_made_before_a_part_was_owned_makes_no_order(buyer, course, bundle, pending):
    first, second = course(), course()
    made = bundle(first, second)
    quote = quote_make(
        user=buyer, items=[{"product_id": made.pk, "quantity": 1}], platform="android"
    )
    pay(pending(first))

    with pytest.raises(AlreadyOwned):
        order_make(user=buyer, quote_id=quote.pk)


def test_a_bundle_with_something_withdrawn_is_not_sold(buyer, course, bundle, pending):
    first, second = course(), course()
    made = bundle(first, second)
    Product.objects.filter(pk=second.pk).update(active=False)

    with pytest.raises(NotSoldHere):
        pending(made)

    shown = client_for(buyer).get(f"/api/v1/products/{made.pk}").json()
    assert (shown["price_fen"], shown["channels"]) == (None, [])


def test_an_empty_bundle_is_not_sold(bundle, pending):
    with pytest.raises(NotSoldHere):
        pending(bundle())


def test_the_same_content_is_not_sold_twice_in_one_order(buyer, course, bundle):
    first, second = course(), course()
    made = bundle(first, second)

    reply = client_for(buyer).post(
        "/api/v1/quote",
        {
            "items": [{"product_id": str(p.pk), "quantity": 1} for p in (made, first)],
            "platform": "android",
        },
        format="json",
    )

    assert reply.status_code == 400


def test_what_may_not_stand_in_a_bundle(course, bundle):
    first, second = course(), course(scope="course:55")
    inner = bundle(first)

    for items in ([inner], [first, course(scope=first.scope)], [first, first]):
        with pytest.raises(BundleRefused):
            bundle_set(bundle_id=bundle(second).pk, item_ids=[item.pk for item in items])
    with pytest.raises(BundleRefused):
        bundle_set(bundle_id=first.pk, item_ids=[second.pk])


def test_a_bundle_is_set_again_in_another_order(course, bundle):
    first, second, third = course(), course(), course()
    made = bundle(first, second)

    bundle_set(bundle_id=made.pk, item_ids=[third.pk, first.pk])

    rows = BundleItem.objects.filter(bundle=made).order_by("position")
    assert [row.item for row in rows] == [third, first]


def test_the_api_explains_a_bundle(buyer, course, bundle):
    first = course(price_fen=9900, list_fen=12900)
    made = bundle(first, course(price_fen=4900), price_fen=10000, list_fen=17800)
    made.promo_fen, made.promo_until = 8000, clock.now() + timedelta(days=1)
    made.save()
    http = client_for(buyer)

    shown = http.get(f"/api/v1/products/{made.pk}").json()
    quote = http.post(
        "/api/v1/quote",
        {"items": [{"product_id": str(made.pk), "quantity": 1}], "platform": "android"},
        format="json",
    ).json()

    assert shown["price_fen"] == 8000
    assert shown["promo_until"] is not None
    assert [item["product_id"] for item in shown["items"]][0] == str(first.pk)
    assert (quote["total_fen"], quote["payable_fen"]) == (17800, 8000)
    assert [[s["rule"] for s in line["steps"]] for line in quote["lines"]] == 2 * [
        ["list", "bundle", "promotion"]
    ]


@pytest.mark.parametrize("size", [1, 12])
def test_a_bundle_is_priced_in_a_fixed_number_of_queries(
    buyer, course, bundle, size, django_assert_num_queries
):
    made = bundle(*[course() for _ in range(size)])
    items = [{"product_id": made.pk, "quantity": 1}]

    # savepoint, products, their items of virtual payment, rules of the platform, contents, what
    # is owned, the quote, release
    with django_assert_num_queries(10):
        quote_make(user=buyer, items=items, platform="android")


def test_a_part_goes_back_alone_and_the_rest_with_all_of_it(buyer, course, bundle, pending):
    first, second = course(price_fen=9900), course(price_fen=4900)
    order = pending(bundle(first, second, price_fen=10000, scope="course:777"))
    pay(order)
    everything = {first.scope, second.scope, "course:777"}

    succeed(refund_request(order_id=order.pk, by=buyer, reason="只退一门",
                           lines=[{"line_no": 1, "amount_fen": 6689}]))  # fmt: skip
    kept = selectors.entitled_scopes(buyer.pk)
    succeed(refund_request(order_id=order.pk, by=buyer, reason="全退"))

    assert kept == everything - {first.scope}
    assert selectors.entitled_scopes(buyer.pk) == set()
    order.refresh_from_db()
    assert (order.status, order.refunded_fen) == ("refunded", 10000)
    assert broken() == []


def test_of_a_membership_in_a_bundle_the_time_that_is_over_is_used(course, plan, bundle, pending):
    order = pending(bundle(course(price_fen=3000), plan("month", 3000).product, price_fen=4000))
    payment = pay(order)
    order.refresh_from_db()
    now = clock.now()
    Entitlement.objects.filter(scope="membership:vip").update(
        valid_from=now - timedelta(days=15), valid_until=now + timedelta(days=15)
    )

    seen = standings(
        order=order, payment=payment, lines=list(order.lines.order_by("line_no")), gifts=[], at=now
    )

    assert [standing.used_bp for standing in seen] == [0, 5000]
