"""Buyers, products and orders, each in one line."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.conf import settings
from django.core.servers.basehttp import WSGIServer
from django.db import connection

from kernel import clock
from kpay_site import auditing
from payments import rules
from payments.models import Order, Payment, Product
from payments.services import bundle_set, order_make, plan_publish, product_publish
from payments.services.attempts import payment_open
from payments.services.fulfilment import payment_succeeded
from tests.builders import make_learner

_numbers = count(1)

# Notifies come 64 at once; Django's own test server would refuse connections after 10.
WSGIServer.request_queue_size = 256


@pytest.fixture
def buyer(db: None) -> Any:
    """A learner who can be asked for money in the mini-program."""
    return make_buyer(f"o{next(_numbers):027d}")


def make_buyer(openid: str) -> Any:
    user = make_learner()
    user.identities.create(app="mp", appid=settings.KPAY.wechat.mp_appid, openid=openid)
    return user


@pytest.fixture
def course(db: None) -> Callable[..., Product]:
    """`course(price_fen=9900)` is a course on sale, with a scope of its own."""

    def make(price_fen: int = 9900, **fields: Any) -> Product:
        number = next(_numbers)
        return product_publish(
            scope=fields.pop("scope", f"course:{number}"),
            title=fields.pop("title", f"课程{number}"),
            kind="course",
            price_fen=price_fen,
            list_fen=fields.pop("list_fen", price_fen),
            channels=fields.pop("channels", ["jsapi", "virtual"]),
            **fields,
        )

    return make


@pytest.fixture
def bundle(db: None) -> Callable[..., Product]:
    """`bundle(a, b, price_fen=5000)` is a bundle of these on sale, without a scope of its own."""

    def make(*items: Product, price_fen: int = 9900, **fields: Any) -> Product:
        made = product_publish(
            scope=fields.pop("scope", ""),
            title=fields.pop("title", "套餐"),
            kind="bundle",
            price_fen=price_fen,
            list_fen=fields.pop("list_fen", price_fen),
            channels=fields.pop("channels", ["jsapi", "virtual"]),
            **fields,
        )
        bundle_set(bundle_id=made.pk, item_ids=[item.pk for item in items])
        return made

    return make


@pytest.fixture
def plan(db: None) -> Callable[..., Any]:
    """`plan(period="month")` is a membership on sale."""

    def make(period: str = "month", price_fen: int = 3000) -> Any:
        return plan_publish(
            key=f"plan{next(_numbers)}", title="会员", period=period, price_fen=price_fen
        )

    return make


@pytest.fixture
def pending(buyer: Any) -> Callable[..., Order]:
    """`pending(product)` is an unpaid order of the buyer."""

    def make(*products: Product, user: Any = None, **fields: Any) -> Order:
        return order_make(
            user=user or buyer,
            items=[{"product_id": p.pk, "quantity": 1} for p in products],
            platform="android",
            **fields,
        )

    return make


def attempt(order: Order) -> Payment:
    """An open attempt to pay the order, as if the platform had been asked."""
    return payment_open(order_id=order.pk, channel="jsapi", payer_openid="")


def money_for(payment: Payment, **changed: Any) -> rules.PaidFacts:
    """What the platform would say when this attempt is paid."""
    facts = {
        "out_trade_no": payment.out_trade_no,
        "transaction_id": f"42{payment.out_trade_no}",
        "amount_fen": payment.amount_fen,
        "payer_openid": "",
        "success_at": clock.now(),
    }
    return rules.PaidFacts(**{**facts, **changed})


def pay(order: Order) -> Payment:
    """The order's money has come."""
    payment = attempt(order)
    return payment_succeeded(facts=money_for(payment))


def sums(ref: str) -> dict[str, int]:
    """The entries of a journal by account."""
    from payments.models import Entry

    rows = Entry.objects.filter(journal__ref=ref).values_list("account", "amount_fen")
    return dict(rows)


def broken() -> list[tuple[str, Any]]:
    """The invariants that do not hold now, with their offending rows."""
    with connection.cursor() as cursor:
        found = [(rule.id, rule.check(cursor)) for rule in auditing.all_invariants()]
    return [(id, seen.rows) for id, seen in found if seen.violations]
