"""Builders of this area: a moved clock, rules in force, coupons, orders as the port sees them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from incentives.models import CouponTemplate, PointEntry, PointLot, PointsWallet
from incentives.services import coupon_template_save, earning_rule_save, points_earn
from payments.ports import OrderDiscounts
from tests import ports

DAY = 86_400


@pytest.fixture
def days_later() -> Iterator[Callable[[float], None]]:
    """`days_later(n)` moves the product's clock to n days from the real now."""

    def move(days: float) -> None:
        ports.CLOCK_FILE.write_text(str(int(days * DAY)), encoding="ascii")

    yield move
    ports.CLOCK_FILE.unlink(missing_ok=True)


@pytest.fixture
def earn(db: None) -> Callable[..., PointLot]:
    """`earn(user, points, valid_days=365)` makes a lot from a fact of its own."""

    def make(user: Any, points: int, valid_days: int = 365) -> PointLot:
        earning_rule_save(key="test", kind="comment_approved", points=points, valid_days=valid_days)
        ref = str(PointLot.objects.filter(user=user).count() + 1)
        assert points_earn(user_id=user.pk, kind="comment_approved", ref=ref, points=points)
        return PointLot.objects.filter(user=user).latest("pk")

    return make


@pytest.fixture
def template(db: None) -> Callable[..., CouponTemplate]:
    """`template(**fields)` makes a template of ¥20 off from ¥100."""

    def make(**fields: Any) -> CouponTemplate:
        number = CouponTemplate.objects.count() + 1
        return coupon_template_save(
            **{
                "key": f"t{number}",
                "title": "新人券",
                "discount_fen": 2000,
                "min_fen": 10_000,
                "budget_count": 100,
                **fields,
            }
        )

    return make


def order_of(user: Any, no: str = "202611240000000000000001", **fields: Any) -> OrderDiscounts:
    """The part of an order that the port gets."""
    facts = {
        "order_id": 1,
        "order_no": no,
        "user_id": user.pk,
        "payable_fen": 9900,
        "coupon_id": None,
        "coupon_fen": 0,
        "points": 0,
        "points_value_fen": 0,
    }
    return OrderDiscounts(**{**facts, **fields})


def entries_of(user: Any) -> list[tuple[str, int, str]]:
    """(kind, delta, ref) of all entries, oldest first."""
    rows = PointEntry.objects.filter(user=user).order_by("pk")
    return list(rows.values_list("kind", "delta", "ref"))


def rests_of(user: Any) -> list[int]:
    """What the user's lots have left, oldest lot first."""
    rows = PointLot.objects.filter(user=user).order_by("pk")
    return list(rows.values_list("remaining", flat=True))


def balance_of(user: Any) -> int:
    """The stored balance, proven against entries and lots."""
    stored = PointsWallet.objects.get(user=user).balance
    assert stored == sum(delta for _kind, delta, _ref in entries_of(user)) == sum(rests_of(user))
    return stored


def all_at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """`call(0)` … `call(count - 1)` in real threads that start together; results or exceptions."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            connection.ensure_connection()
            start.wait(timeout=60)
            return call(number)
        except Exception as error:  # noqa: BLE001  (the test looks at what was raised)
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def deadlocks() -> int:
    """Deadlocks that PostgreSQL has counted in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        (count,) = cursor.fetchone()
    return int(count)
