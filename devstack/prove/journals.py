"""Fills an empty, migrated database with a shop of a given number of journals, set by set.

`python -m devstack.prove.journals --journals N` runs with the database's environment. One row of
each kind is made as the product makes it; PostgreSQL copies it with numbers of its own, so a new
column needs no word here. Everything that was copied holds every invariant.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import django
from django.db import connection, transaction

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper
    from django.db.models import Model

# One in a hundred payments came late and went back, which makes two journals of it.
STRAY = 100
# Amounts differ; `g` is the number of the copy.
_FEN = "(100 + g %% 9900)"


def fill(journals: int) -> None:
    """Exactly that many journals, with orders, money, rights, events, points and coupons."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Copies of what the triggers accepted once need not be looked at one by one.
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        stray = journals // STRAY
        users = _users(cursor, max(journals // 10, 1))
        _sales(cursor, journals - 2 * stray, users)
        if stray:
            _strays(cursor, stray, users)
        _incentives(cursor, users)
        _outbox(cursor, max(journals // 10, 1))
        cursor.execute("SET LOCAL session_replication_role = 'origin'")


def copy(cursor: CursorWrapper, row: Model, count: int, **new: str) -> int:
    """`count` rows like `row`, with what `new` says in SQL; returns the id before the first.

    Their ids follow without a gap, so that rows of two tables can be matched by number.
    """
    table, pk = row._meta.db_table, row._meta.pk
    key, base = str(pk.column), int(row.pk)
    values = {key: f"{base} + g"} | new
    columns = [str(field.column) for field in row._meta.concrete_fields]
    names = ", ".join(f'"{name}"' for name in columns)
    chosen = ", ".join(values.get(name, f't."{name}"') for name in columns)
    cursor.execute(
        f'INSERT INTO "{table}" ({names}) SELECT {chosen}'  # noqa: S608  (our own names)
        f' FROM "{table}" t, generate_series(1, %s) g WHERE t."{key}" = %s',
        [count, base],
    )
    if pk.get_internal_type() == "BigAutoField":
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [table, key, base + count]
        )
    return base


def _no(letter: str) -> str:
    """A business number of 24 characters, different for each copy."""
    return f"'{letter}' || lpad(g::text, 23, '0')"


def _users(cursor: CursorWrapper, count: int) -> tuple[int, int]:
    from payments.selftest import ground  # noqa: PLC0415

    base = copy(cursor, ground.someone(), count, username="'prove_' || g")
    return base, count


def _one_of(users: tuple[int, int]) -> str:
    base, count = users
    return f"{base} + 1 + g %% {count}"


def _sales(cursor: CursorWrapper, count: int, users: tuple[int, int]) -> None:
    from payments.models import Effect, EventHandling, PlatformEvent  # noqa: PLC0415
    from payments.selftest import ground  # noqa: PLC0415

    sale = ground.sale()
    more = count - 1
    journal = _journal_of(sale.payment.out_trade_no)
    order = copy(
        cursor, sale.order, more, no=_no("S"), user_id=_one_of(users), total_fen=_FEN,
        payable_fen=_FEN, created_at="t.created_at - g * interval '7 seconds'",
    )  # fmt: skip
    copy(
        cursor, sale.line, more, order_id=f"{order} + g", list_fen=_FEN, payable_fen=_FEN,
        scope="'course:' || g %% 5000",
    )  # fmt: skip
    copy(
        cursor, sale.payment, more, order_id=f"{order} + g", out_trade_no=_no("P"),
        transaction_id=_no("T"), amount_fen=_FEN,
    )  # fmt: skip
    copy(
        cursor, sale.entitlement, more, source_ref=_no("S"), user_id=_one_of(users),
        scope="'course:' || g %% 5000",
    )  # fmt: skip
    _copy_journals(cursor, journal, more, ref=_no("P"))
    effect = Effect.objects.get(kind="payment", business_key=sale.payment.out_trade_no)
    copy(cursor, effect, more, business_key=_no("P"), ref=_no("S"))
    event = PlatformEvent.objects.create(
        source="wechat_pay",
        event_id=f"EV-{sale.payment.out_trade_no}",
        event_type="TRANSACTION.SUCCESS",
        body=b'{"id":"EV","event_type":"TRANSACTION.SUCCESS","resource":{"ciphertext":"..."}}',
    )
    handling = EventHandling.objects.create(
        event=event,
        kind="payment",
        business_key=sale.payment.out_trade_no,
        state=EventHandling.State.DONE,
        done_at=event.received_at,
    )
    events = copy(cursor, event, more, event_id=_no("E"))
    copy(cursor, handling, more, event_id=f"{events} + g", business_key=_no("P"))


def _strays(cursor: CursorWrapper, count: int, users: tuple[int, int]) -> None:
    """Late money that has gone back in full."""
    from payments import ledger  # noqa: PLC0415
    from payments.models import Effect, Payment, Refund  # noqa: PLC0415
    from payments.selftest import ground  # noqa: PLC0415

    money = ground.stray()
    Payment.objects.filter(pk=money.pk).update(refunded_fen=money.amount_fen)
    back = ground.refund(
        money,
        fen=money.amount_fen,
        cause=Refund.Cause.LATE_PAYMENT,
        status=Refund.Status.SUCCEEDED,
    )
    ledger.post_stray_refund(
        ref=back.out_refund_no, channel=money.channel, amount_fen=money.amount_fen
    )
    more = count - 1
    came, went = _journal_of(money.out_trade_no), _journal_of(back.out_refund_no)
    line = money.order.lines.get()
    order = copy(
        cursor, money.order, more, no=_no("C"), user_id=_one_of(users), total_fen=_FEN,
        payable_fen=_FEN,
    )  # fmt: skip
    copy(cursor, line, more, order_id=f"{order} + g", list_fen=_FEN, payable_fen=_FEN)
    payment = copy(
        cursor, money, more, order_id=f"{order} + g", out_trade_no=_no("L"),
        transaction_id=_no("U"), amount_fen=_FEN, refunded_fen=_FEN,
    )  # fmt: skip
    copy(
        cursor, back, more, order_id=f"{order} + g", payment_id=f"{payment} + g",
        out_refund_no=_no("R"), amount_fen=_FEN,
    )  # fmt: skip
    _copy_journals(cursor, came, more, ref=_no("L"))
    _copy_journals(cursor, went, more, ref=_no("R"))
    for kind, number, letter in (
        ("payment", money.out_trade_no, "L"),
        ("refund", back.out_refund_no, "R"),
    ):
        effect = Effect.objects.create(kind=kind, business_key=number, ref=money.order.no)
        copy(cursor, effect, more, business_key=_no(letter), ref=_no("C"))


def _journal_of(ref: str) -> Model:
    from payments.models import Journal  # noqa: PLC0415

    return Journal.objects.get(ref=ref)


def _copy_journals(cursor: CursorWrapper, journal: Model, count: int, *, ref: str) -> None:
    """The journal and its sides, each over the amount of its copy."""
    from payments.models import Entry  # noqa: PLC0415

    # Made after copies of other journals, so that its own id is the highest.
    base = copy(cursor, _renewed(journal), count, ref=ref)
    for entry in Entry.objects.filter(journal_id=base):
        copy(
            cursor, _renewed(entry), count, journal_id=f"{base} + g",
            amount_fen=f"sign(t.amount_fen)::bigint * {_FEN}",
        )  # fmt: skip


def _renewed(row: Model) -> Model:
    """The same row under the next id of its table, with the rows that point to it."""
    from payments.models import Entry, Journal  # noqa: PLC0415

    old = row.pk
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE \"{table}\" SET id = nextval(pg_get_serial_sequence('{table}', 'id'))"  # noqa: S608
            " WHERE id = %s RETURNING id",
            [old],
        )
        (row.pk,) = cursor.fetchone()
    if isinstance(row, Journal):
        Entry.objects.filter(journal_id=old).update(journal_id=row.pk)
    return row


def _incentives(cursor: CursorWrapper, users: tuple[int, int]) -> None:
    """Everybody holds points of one lot and a coupon."""
    from incentives.models import (  # noqa: PLC0415
        Coupon,
        CouponTemplate,
        PointEntry,
        PointLot,
        PointsWallet,
        TemplateUser,
    )
    from kernel import clock  # noqa: PLC0415
    from payments.selftest import ground  # noqa: PLC0415

    user, later = ground.someone(), clock.now() + timedelta(days=365)
    count = users[1]
    owner = {"user_id": _one_of(users)}
    lot = PointLot.objects.create(
        user=user, source="check_in", granted=30, remaining=30, expires_at=later
    )
    wallet = PointsWallet.objects.create(user=user, balance=30)
    entry = PointEntry.objects.create(user=user, lot=lot, delta=30, kind="earn", ref="prove")
    lots = copy(cursor, lot, count, **owner)
    copy(cursor, wallet, count, **owner)
    copy(cursor, entry, count, lot_id=f"{lots} + g", **owner)
    template = CouponTemplate.objects.create(
        key="prove",
        title="prove",
        discount_fen=500,
        claimed_count=count + 1,
        claimed_fen=500 * (count + 1),
    )
    counter = TemplateUser.objects.create(template=template, user=user, claimed=1, allowed=1)
    coupon = Coupon.objects.create(template=template, user=user, value_fen=500, expires_at=later)
    copy(cursor, counter, count, **owner)
    copy(cursor, coupon, count, **owner)


def _outbox(cursor: CursorWrapper, count: int) -> None:
    from kernel import clock  # noqa: PLC0415
    from kernel.models import OutboxRow  # noqa: PLC0415

    at = clock.now()
    row = OutboxRow.objects.create(
        kind="order_paid",
        payload={"order_id": 1, "order_no": "1", "scopes": ["course:1"]},
        handler="prove",
        state=OutboxRow.State.DONE,
        due_at=at,
        created_at=at,
        done_at=at,
    )
    copy(cursor, row, count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journals", type=int, required=True)
    told = parser.parse_args()
    django.setup()
    fill(told.journals)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return 0


if __name__ == "__main__":
    sys.exit(main())
