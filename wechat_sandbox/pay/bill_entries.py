"""The platform's book of a day (D7): which payments and refunds its bills are made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal

from wechat_sandbox.billbook import Entry, Frozen
from wechat_sandbox.clock import BEIJING
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Order, Refund


def day_bounds(day: date) -> tuple[float, float]:
    """Midnight to midnight in Beijing, as seconds since 1970."""
    start = datetime.combine(day, time(), BEIJING)
    return start.timestamp(), (start + timedelta(days=1)).timestamp()


def day_book(sandbox: Sandbox, day: date) -> Frozen:
    """The day's entries as they stand now, by time, and the balance before them."""
    start, end = day_bounds(day)
    rate = sandbox.state.settings.fee_rate_percent
    opening = sandbox.state.settings.opening_balance_fen
    entries = []
    for entry in _entries(sandbox):
        if start <= entry.at < end:
            entries.append(entry)
        elif entry.at < start:
            opening += net_fen(entry, rate)
    entries.sort(key=lambda entry: entry.at)
    return Frozen(tuple(entries), opening, sandbox.clock.now())


def fee_fen(amount: int, rate_percent: float) -> int:
    """The platform's fee, rounded to the fen."""
    exact = Decimal(amount) * Decimal(str(rate_percent)) / 100
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def net_fen(entry: Entry, rate_percent: float) -> int:
    """What an entry does to the merchant's balance."""
    if entry.kind == "payment":
        return entry.settlement - fee_fen(entry.settlement, rate_percent)
    if entry.kind == "flow":
        return entry.settlement if entry.income else -entry.settlement
    back = entry.refund_settlement - fee_fen(entry.refund_settlement, rate_percent)
    return back if entry.kind == "returned" else -back


def payment_entry(order: Order) -> Entry:
    arguments = order.arguments
    return Entry(
        kind="payment",
        at=order.success_at,
        appid=arguments["appid"],
        out_trade_no=order.out_trade_no,
        transaction_id=order.transaction_id,
        openid=order.payer_openid,
        trade_type=order.trade_type,
        description=arguments["description"],
        attach=arguments.get("attach") or "",
        total=order.total,
        settlement=order.settlement,
        voucher=order.total - order.payer_total if order.coupon_type == "CASH" else 0,
        success_at=order.success_at,
    )


def refund_entry(item: Refund, mchid: str) -> Entry:
    order = item.order
    arguments = order.arguments
    return Entry(
        kind="refund",
        at=item.created_at,
        appid=arguments["appid"],
        out_trade_no=order.out_trade_no,
        transaction_id=order.transaction_id,
        openid=order.payer_openid,
        trade_type=order.trade_type,
        description=arguments["description"],
        attach=arguments.get("attach") or "",
        status=item.status,
        refund_id=item.refund_id,
        out_refund_no=item.out_refund_no,
        refund=item.amount,
        refund_settlement=item.settlement,
        voucher_refund=item.settlement - item.payer_amount,
        success_at=item.success_at,
        applicant=mchid if item.by_console else f"{mchid}API",
    )


def _entries(sandbox: Sandbox) -> Iterator[Entry]:
    """Everything that ever moved, in no order."""
    mchid = sandbox.identity.mchid
    for order in sandbox.state.orders.values():
        if not order.transaction_id:
            continue
        yield payment_entry(order)
        for item in order.refunds:
            entry = refund_entry(item, mchid)
            yield entry
            if item.status == "CLOSED":
                yield replace(entry, kind="returned", at=item.closed_at)
