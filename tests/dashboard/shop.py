"""Rows of a shop, each in one line, written straight into the tables."""

import uuid
from datetime import datetime
from itertools import count
from typing import Any

from accounts.models import User
from content.models import Course
from feedback.models import Event
from kernel import clock
from payments.models import Order, OrderLine, Product
from tests.builders import make_learner

_numbers = count(1)


def local(day: int, hour: int = 12, minute: int = 0) -> datetime:
    """A moment of November 2026 in the shop's time zone."""
    return datetime(2026, 11, day, hour, minute, tzinfo=clock.SHOP_ZONE)


def make_course(title: str = "手机摄影三十讲", **fields: Any) -> Course:
    values = {"status": "published", "published_at": local(1), **fields}
    return Course.objects.create(title=title, **values)


def make_product(title: str = "手机摄影三十讲", price_fen: int = 9900, **fields: Any) -> Product:
    number = next(_numbers)
    values = {"kind": "course", "scope": f"course:{number}", "channels": ["jsapi"], **fields}
    return Product.objects.create(title=title, price_fen=price_fen, list_fen=price_fen, **values)


def make_order(
    paid_at: datetime | None,
    payable_fen: int = 9900,
    refunded_fen: int = 0,
    *,
    user: User | None = None,
    product: Product | None = None,
) -> Order:
    """An order with one line; unpaid when `paid_at` is None."""
    back = "refunded" if refunded_fen == payable_fen else "partially_refunded"
    paid = back if refunded_fen else "paid"
    made_at = paid_at or clock.now()
    order = Order.objects.create(
        no=f"{next(_numbers):024d}",
        user=user or make_learner(),
        status=paid if paid_at else "pending",
        platform="android",
        total_fen=payable_fen,
        payable_fen=payable_fen,
        refunded_fen=refunded_fen,
        created_at=made_at,
        expires_at=made_at,
        paid_at=paid_at,
    )
    product = product or make_product(price_fen=payable_fen)
    OrderLine.objects.create(
        order=order,
        line_no=1,
        product=product,
        kind=product.kind,
        title=product.title,
        scope=product.scope,
        list_fen=payable_fen,
        payable_fen=payable_fen,
        refunded_fen=refunded_fen,
    )
    return order


def make_event(
    user: User,
    kind: str,
    at: datetime,
    *,
    course: Course | None = None,
    request_id: uuid.UUID | None = None,
    origin: str = "app",
) -> Event:
    return Event.objects.create(
        user=user,
        client_event_id=f"e{next(_numbers)}",
        type=kind,
        course=course,
        request_id=request_id,
        occurred_at=at,
        received_at=at,
        origin=origin,
    )
