"""Bills under /_sandbox: differences planted in them, and whole days put into the book."""

from __future__ import annotations

from datetime import date
from typing import Any

from wechat_sandbox.billbook import Bill, Entry, Planted
from wechat_sandbox.clock import parse_rfc3339, rfc3339
from wechat_sandbox.control import fields
from wechat_sandbox.pay import bills, checks, refunds
from wechat_sandbox.pay.bill_entries import day_book, day_bounds
from wechat_sandbox.pay.orders import new_transaction_id
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Order, Refund, new_openid
from wechat_sandbox.wire import ControlError, Json

_MOST_FEN = 10**12
_NOON = 12 * 3600
_STATUSES = {"PROCESSING", *refunds.OUTCOMES.values()}
_TRADE_TYPES = {"JSAPI", "NATIVE", "MWEB"}
_BILLS = ("trade", "fundflow")


def bill_read(sandbox: Sandbox, _: Json, *, day: str) -> Json:
    """The rows that a bill of that day has, or would have now; reading freezes nothing."""
    asked = _day(day)
    with sandbox.lock:
        bill = bills.bill_of(sandbox, asked)
        frozen = bill.frozen or day_book(sandbox, asked)
        return {
            **_heading(sandbox, asked, bill),
            "trade": bills.table(sandbox, asked, "trade", "ALL", frozen).view(),
            "fundflow": bills.table(sandbox, asked, "fundflow", "BASIC", frozen).view(),
        }


def bill_plant(sandbox: Sandbox, data: Json, *, day: str) -> Json:
    """Adds differences to the day's bills, made or not: drop, extra, amounts, statuses."""
    asked = _day(day)
    which = fields.choice(data, "bill", {"both", *_BILLS}, "both")
    unknown = set(data) - {"bill", "drop", "extra", "amounts", "statuses"}
    if unknown:
        raise ControlError(400, "invalid_field", f"unknown fields {sorted(unknown)}")
    drop = _texts(data.get("drop", []), "drop")
    amounts = _mapping(data.get("amounts", {}), "amounts", int)
    statuses = _mapping(data.get("statuses", {}), "statuses", str)
    extra = [_extra(sandbox, item, asked) for item in _objects(data.get("extra", []), "extra")]
    with sandbox.lock:
        bill = bills.bill_of(sandbox, asked)
        for name in _BILLS if which == "both" else (which,):
            planted = bill.planted[name]
            planted.drop.update(drop)
            planted.extra += extra
            planted.amounts.update(amounts)
            planted.statuses.update(statuses)
        bill.files.clear()
        return _heading(sandbox, asked, bill)


def bill_forget(sandbox: Sandbox, _: Json, *, day: str) -> Json:
    """Forgets the planted differences and the frozen bill: the next call makes it anew."""
    asked = _day(day)
    with sandbox.lock:
        sandbox.state.bills.pop(asked.isoformat(), None)
    return {"date": asked.isoformat(), "forgotten": True}


def rows_create(sandbox: Sandbox, data: Json, *, day: str) -> Json:
    """Puts paid orders and refunds straight into the platform's book; all of them or none.

    Queries know them as if they had been paid here. Nobody is notified.
    """
    asked = _day(day)
    rows = _objects(data.get("rows"), "rows")
    with sandbox.lock:
        orders = [_order(sandbox, row, asked, place) for place, row in enumerate(rows)]
        items = [
            _refund(sandbox, order, refund)
            for order, row in zip(orders, rows, strict=True)
            for refund in _objects(row.get("refunds", []), "refunds")
        ]
        _check_numbers(sandbox, orders, items)
        for order in orders:
            sandbox.state.orders[order.out_trade_no] = order
            sandbox.state.by_transaction[order.transaction_id] = order
        for item in items:
            refunds.open_refund(sandbox, item.order, item)
        known = sandbox.state.bills.get(asked.isoformat())
        frozen = known is not None and known.frozen is not None
    return {"orders": len(orders), "refunds": len(items), "bill_frozen": frozen}


def _order(sandbox: Sandbox, row: Json, day: date, place: int) -> Order:
    start, end = day_bounds(day)
    success_at = _moment(row, "success_at", start + _NOON + place % 3600)
    if not start <= success_at < end:
        raise ControlError(400, "invalid_success_at", f"success_at lies outside of {day}")
    number = fields.text(row, "out_trade_no")
    if not checks.OUT_TRADE_NO.fullmatch(number):
        raise ControlError(400, "invalid_out_trade_no", number)
    total = fields.integer(row, "amount_fen", None, least=1, most=_MOST_FEN)
    arguments: Json = {
        "appid": fields.text(row, "appid", sandbox.identity.mp.appid),
        "mchid": sandbox.identity.mchid,
        "description": fields.text(row, "description", "课程"),
        "attach": fields.text(row, "attach") if row.get("attach") else "",
        "out_trade_no": number,
        "notify_url": fields.text(row, "notify_url") if row.get("notify_url") else "",
        "amount": {"total": total, "currency": "CNY"},
    }
    payer_total = fields.integer(row, "payer_total_fen", total, least=0, most=total)
    return Order(
        out_trade_no=number,
        trade_type=fields.choice(row, "trade_type", _TRADE_TYPES, "JSAPI"),
        arguments=arguments,
        prepay={},
        prepay_until=success_at,
        time_expire=success_at,
        created_at=success_at,
        state="SUCCESS",
        transaction_id=fields.text(row, "transaction_id", new_transaction_id(success_at)),
        success_at=success_at,
        paid_at=success_at,
        payer_openid=fields.text(row, "openid", new_openid()),
        payer_total=payer_total,
        coupon_type=fields.choice(row, "coupon_type", {"CASH", "NOCASH"}, "CASH"),
    )


def _refund(sandbox: Sandbox, order: Order, data: Json) -> Refund:
    created_at = _moment(data, "created_at", order.success_at + 60)
    if created_at < order.success_at:
        raise ControlError(400, "invalid_created_at", "a refund follows its payment")
    number = fields.text(data, "out_refund_no")
    amount = fields.integer(data, "amount_fen", order.total, least=1, most=order.total)
    status = fields.choice(data, "status", _STATUSES, "SUCCESS")
    ended_at = _moment(data, "success_at", created_at + 1)
    return Refund(
        out_refund_no=number,
        refund_id=fields.text(data, "refund_id", refunds.new_refund_id(created_at)),
        order=order,
        arguments={
            "out_trade_no": order.out_trade_no,
            "out_refund_no": number,
            "notify_url": order.arguments["notify_url"] or None,
            "amount": {"refund": amount, "total": order.total, "currency": "CNY"},
        },
        amount=amount,
        payer_amount=refunds.payer_share(order, amount),
        created_at=created_at,
        made_at=created_at,
        status=status,
        success_at=ended_at if status == "SUCCESS" else 0.0,
        closed_at=ended_at if status == "CLOSED" else 0.0,
    )


def _check_numbers(sandbox: Sandbox, orders: list[Order], items: list[Refund]) -> None:
    """Every number is new, and no order is refunded beyond its total."""
    state = sandbox.state
    for known, given, what in (
        (state.orders.keys(), [o.out_trade_no for o in orders], "order"),
        (state.by_transaction.keys(), [o.transaction_id for o in orders], "transaction"),
        (state.refunds.keys(), [i.out_refund_no for i in items], "refund"),
        (state.by_refund_id.keys(), [i.refund_id for i in items], "refund"),
    ):
        if len(set(given)) < len(given) or known & set(given):
            raise ControlError(409, f"{what}_exists", f"a number of an {what} is taken")
    taken: dict[str, int] = {}
    for item in items:
        if item.status != "CLOSED":
            number = item.order.out_trade_no
            taken[number] = taken.get(number, 0) + item.amount
            if taken[number] > item.order.total:
                raise ControlError(400, "invalid_amount_fen", f"{number} is refunded too far")


def _extra(sandbox: Sandbox, data: Json, day: date) -> Entry:
    """A row for something that never happened: a payment, a refund, or another flow."""
    kind = fields.choice(data, "kind", {"payment", "refund", "flow"})
    start, end = day_bounds(day)
    at = _moment(data, "at", start + _NOON)
    if not start <= at < end:
        raise ControlError(400, "invalid_at", f"at lies outside of {day}")
    amount = fields.integer(data, "amount_fen", None, least=1, most=_MOST_FEN)
    transaction_id = fields.text(data, "transaction_id", new_transaction_id(at))
    if kind == "flow":
        return Entry(
            kind=kind,
            at=at,
            settlement=amount,
            transaction_id=transaction_id,
            out_trade_no=fields.text(data, "number", transaction_id),
            name=fields.text(data, "name"),
            income=fields.choice(data, "direction", {"in", "out"}) == "in",
            account=fields.choice(data, "account", set(bills.ACCOUNTS), "BASIC"),
        )
    refund = kind == "refund"
    return Entry(
        kind=kind,
        at=at,
        appid=sandbox.identity.mp.appid,
        out_trade_no=fields.text(data, "out_trade_no"),
        transaction_id=transaction_id,
        openid=fields.text(data, "openid", new_openid()),
        trade_type=fields.choice(data, "trade_type", _TRADE_TYPES, "JSAPI"),
        description=fields.text(data, "description", "课程"),
        status=fields.text(data, "status", "SUCCESS"),
        success_at=at,
        refund_id=fields.text(data, "refund_id", refunds.new_refund_id(at)) if refund else "",
        out_refund_no=fields.text(data, "out_refund_no") if refund else "",
    ).with_amount(amount)


def _heading(sandbox: Sandbox, day: date, bill: Bill) -> Json:
    return {
        "date": day.isoformat(),
        "state": bills.readiness(sandbox, day),
        "frozen_at": None if bill.frozen is None else rfc3339(bill.frozen.made_at),
        "planted": {name: _planted_view(bill.planted[name]) for name in _BILLS},
    }


def _planted_view(planted: Planted) -> Json:
    return {
        "drop": sorted(planted.drop),
        "extra": len(planted.extra),
        "amounts": dict(planted.amounts),
        "statuses": dict(planted.statuses),
    }


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ControlError(400, "invalid_date", "a day is YYYY-MM-DD") from error


def _moment(data: Json, name: str, default: float) -> float:
    value = data.get(name)
    if value is None:
        return default
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return parse_rfc3339(value)
    except (TypeError, ValueError) as error:
        message = f"{name} is RFC 3339 with offset, or seconds since 1970"
        raise ControlError(400, f"invalid_{name}", message) from error


def _objects(value: Any, name: str) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ControlError(400, f"invalid_{name}", f"{name} is a list of objects")
    return value


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ControlError(400, f"invalid_{name}", f"{name} is a list of texts")
    return value


def _mapping(value: Any, name: str, kind: type) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(type(item) is kind for item in value.values()):
        raise ControlError(400, f"invalid_{name}", f"{name} maps numbers to {kind.__name__}s")
    return value
