"""Buying over HTTP as a client of each channel does, with the sandbox as the platform."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from accounts import flows
from payments.models import Order, Payment
from payments.services import order_make
from tests.builders import client_for

_keys = count(1)


@dataclass
class Shopper:
    """A person who is signed in to the mini-program."""

    user: Any
    openid: str
    http: Any


def shopper(sandbox: Any, **fields: Any) -> Shopper:
    openid = sandbox.user(**fields)["openid"]
    user = flows.wechat_login(code=sandbox.login_code(openid)).user
    return Shopper(user, openid, client_for(user))


def order_for(person: Shopper, product: Any, platform: str = "android", **fields: Any) -> Order:
    items = [{"product_id": product.pk, "quantity": 1}]
    return order_make(user=person.user, items=items, platform=platform, **fields)


def start(person: Shopper, order: Order, channel: str) -> Any:
    """POST /orders/{no}/pay, each time as a new try."""
    return person.http.post(
        f"/api/v1/orders/{order.no}/pay",
        {"channel": channel},
        format="json",
        headers={"Idempotency-Key": f"pay-{next(_keys)}"},
    )


def started(person: Shopper, order: Order, channel: str) -> dict[str, Any]:
    reply = start(person, order, channel)
    assert reply.status_code == 200, reply.json()
    return reply.json()


def pays(sandbox: Any, person: Shopper, begun: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The person pays what `started` gave the client."""
    if begun["channel"] == "virtual":
        return sandbox.virtual_pay(person.openid, begun["params"], **fields)
    if begun["channel"] != "jsapi":
        fields.setdefault("openid", person.openid)
    return sandbox.pay(begun["out_trade_no"], **fields)


def status_of(order: Order) -> str:
    return Order.objects.values_list("status", flat=True).get(pk=order.pk)


def payment_of(begun: dict[str, Any]) -> Payment:
    return Payment.objects.get(out_trade_no=begun["out_trade_no"])


def code(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]
