"""The mini-program's calls for buying, without the platform."""

import pytest

from payments.models import ChannelRule, Order
from tests.builders import client_for, make_learner
from tests.payments.conftest import pay

pytestmark = pytest.mark.django_db


@pytest.fixture
def http(buyer):
    return client_for(buyer)


def quote_for(http, product, **fields):
    asked = {"items": [{"product_id": str(product.pk), "quantity": 1}], "platform": "android"}
    return http.post("/api/v1/quote", {**asked, **fields}, format="json")


def order_from(http, body, key="k1"):
    headers = {"Idempotency-Key": key} if key else {}
    return http.post("/api/v1/orders", body, format="json", headers=headers)


def code(reply):
    return reply.status_code, reply.json()["error"]["code"]


def test_a_product_tells_where_it_may_be_sold(course, http):
    product = course(
        price_fen=9900, list_fen=19900, channels=["jsapi", "virtual"], xpay_product_id="x1"
    )

    seen = {
        platform: http.get(f"/api/v1/products/{product.pk}?platform={platform}").json()
        for platform in ("ios", "android", "devtools", "h5")
    }

    assert seen["ios"]["channels"] == ["virtual"]
    assert [seen[p]["channels"] for p in ("android", "devtools", "h5")] == 3 * [
        ["jsapi", "virtual"]
    ]
    assert seen["android"]["price_fen"] == 9900
    assert seen["android"]["list_fen"] == 19900


def test_where_nothing_may_be_sold_there_is_no_price(course, http):
    product = course(channels=["jsapi"])

    reply = http.get(f"/api/v1/products/{product.pk}?platform=ios").json()

    assert (reply["price_fen"], reply["channels"]) == (None, [])
    assert code(quote_for(http, product, platform="ios")) == (409, "not_sold_here")


def test_an_operators_rule_beats_the_default_table(course, http):
    product = course(channels=["jsapi", "virtual"], xpay_product_id="x1")
    ChannelRule.objects.create(platform="android", channel="jsapi", allowed=False)
    ChannelRule.objects.create(platform="android", channel="jsapi", kind="plan", allowed=True)

    reply = http.get(f"/api/v1/products/{product.pk}?platform=android").json()

    assert reply["channels"] == ["virtual"]


def test_plans_carry_their_product(plan, http):
    made = plan("year", 26800)

    (item,) = http.get("/api/v1/plans?platform=android").json()["items"]

    assert item["id"] == str(made.pk)
    assert item["product_id"] == str(made.product_id)
    assert (item["period"], item["price_fen"]) == ("year", 26800)


def test_a_quote_explains_itself_and_the_order_charges_it(course, http):
    product = course(price_fen=9900, list_fen=19900)
    quote = quote_for(http, product).json()

    order = order_from(http, {"quote_id": quote["quote_id"]})

    (line,) = quote["lines"]
    assert [(s["rule"], s["amount_fen"]) for s in line["steps"]] == [
        ("list", 19900),
        ("price", -10000),
    ]
    assert order.status_code == 201
    assert order.json()["payable_fen"] == quote["payable_fen"] == 9900
    assert order.json()["status"] == "pending"
    assert order.json()["lines"][0]["product_id"] == str(product.pk)


def test_an_order_may_name_its_items(course, http):
    product = course(price_fen=500)
    body = {"items": [{"product_id": str(product.pk), "quantity": 1}], "platform": "h5"}

    assert order_from(http, body).json()["payable_fen"] == 500


def test_the_same_key_gives_the_same_order(course, http):
    quote = quote_for(http, course()).json()
    body = {"quote_id": quote["quote_id"]}

    first, again = order_from(http, body), order_from(http, body)
    other = order_from(http, {"quote_id": "1"})

    assert first.json() == again.json()
    assert Order.objects.count() == 1
    assert code(other) == (422, "idempotency_key_reused")


def test_an_order_needs_an_idempotency_key(course, http):
    quote = quote_for(http, course()).json()

    assert code(order_from(http, {"quote_id": quote["quote_id"]}, key="")) == (400, "invalid_input")


def test_somebody_elses_quote_and_order_do_not_exist(course, http, pending):
    stranger = client_for(make_learner())
    quote = quote_for(http, course()).json()
    order = pending(course())

    assert code(order_from(stranger, {"quote_id": quote["quote_id"]})) == (404, "not_found")
    for call in ("", "/cancel", "/check"):
        ask = stranger.post if call else stranger.get
        assert code(ask(f"/api/v1/orders/{order.no}{call}")) == (404, "not_found")
    paying = stranger.post(
        f"/api/v1/orders/{order.no}/pay",
        {"channel": "jsapi"},
        format="json",
        headers={"Idempotency-Key": "k"},
    )
    assert code(paying) == (404, "not_found")
    assert stranger.get("/api/v1/orders").json()["items"] == []


def test_orders_are_listed_newest_first_page_by_page(course, http, pending):
    made = [pending(course()).no for _ in range(3)]

    first = http.get("/api/v1/orders?limit=2").json()
    rest = http.get(f"/api/v1/orders?limit=2&cursor={first['next_cursor']}").json()

    assert [o["no"] for o in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None
    assert code(http.get("/api/v1/orders?cursor=broken!")) == (400, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"items": [], "platform": "android"},
        {"items": [{"product_id": "1"}], "platform": "fridge"},
        {"items": [{"product_id": "x"}], "platform": "android"},
        {"items": [{"product_id": "1", "quantity": 0}], "platform": "android"},
        {"items": [{"product_id": "1"}], "platform": "android", "points": -1},
        {"items": [{"product_id": "1"}], "platform": "android", "points": 10**30},
        {"items": "1", "platform": "android"},
        {"items": [{"product_id": str(10**30)}], "platform": "android"},
    ],
)
def test_a_quote_that_makes_no_sense_is_refused(http, body):
    assert code(http.post("/api/v1/quote", body, format="json")) == (400, "invalid_input")


def test_more_than_one_piece_and_twice_the_same_thing_are_refused(course, http):
    product = course()
    twin = course(scope=product.scope)
    two = [{"product_id": str(product.pk), "quantity": 2}]
    both = [{"product_id": str(p.pk), "quantity": 1} for p in (product, twin)]

    assert code(quote_for(http, product, items=two)) == (400, "invalid_input")
    assert code(quote_for(http, product, items=both)) == (400, "invalid_input")
    unknown = [{"product_id": "999999", "quantity": 1}]
    assert code(quote_for(http, product, items=unknown)) == (404, "not_found")


def test_what_is_owned_is_refused_with_its_code(course, http, pending):
    product = course()
    pay(pending(product))
    quote = quote_for(http, product).json()

    assert code(order_from(http, {"quote_id": quote["quote_id"]})) == (409, "already_owned")


def test_an_unpaid_order_without_attempts_is_cancelled_and_stays_so(course, http, pending):
    order = pending(course())

    replies = [http.post(f"/api/v1/orders/{order.no}/cancel") for _ in range(2)]

    assert [r.json()["status"] for r in replies] == ["cancelled", "cancelled"]


def test_a_paid_order_is_not_cancelled(course, http, pending):
    order = pending(course())
    pay(order)

    reply = http.post(f"/api/v1/orders/{order.no}/cancel")

    assert code(reply) == (409, "order_already_paid")


def test_a_channel_that_is_not_allowed_or_can_not_sell_it_is_refused(course, http, pending):
    order = pending(course(channels=["jsapi", "virtual"]))

    replies = [
        http.post(
            f"/api/v1/orders/{order.no}/pay",
            {"channel": channel},
            format="json",
            headers={"Idempotency-Key": channel},
        )
        for channel in ("h5", "virtual", "gold")
    ]

    assert [code(r) for r in replies] == [
        (409, "channel_not_allowed"),
        (409, "virtual_item_missing"),  # allowed, yet nothing is published for this price
        (400, "invalid_input"),
    ]


def test_a_user_without_a_wechat_identity_can_not_be_asked_for_money(course, pending):
    user = make_learner()
    order = pending(course(), user=user)

    reply = client_for(user).post(
        f"/api/v1/orders/{order.no}/pay",
        {"channel": "jsapi"},
        format="json",
        headers={"Idempotency-Key": "k"},
    )

    assert code(reply) == (409, "payer_unknown")


def test_buying_needs_a_login(course):
    assert code(quote_for(client_for(), course())) == (401, "unauthenticated")


def test_a_page_of_orders_costs_the_same_number_of_queries(
    course, http, pending, django_assert_max_num_queries
):
    for _ in range(5):
        pending(course())

    with django_assert_max_num_queries(4):
        http.get("/api/v1/orders")
