"""Bills of virtual payment (`wechat.md` B3). The file's form is ours: docs/sandbox.md."""

from __future__ import annotations

import csv
import io
import secrets
from datetime import datetime, timedelta
from typing import Any

from wechat_sandbox.clock import beijing_day, rfc3339
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import ControlError, Json, PlatformError, Reply, Request, json_reply
from wechat_sandbox.xpay.signing import WRONG_FIELD, signed_call
from wechat_sandbox.xpay.state import APPLE, VirtualOrder, VirtualRefund

BEING_MADE = 268490011
COLUMNS = (
    "row_type", "order_id", "wx_order_id", "refund_order_id", "refund_wx_order_id", "openid",
    "product_id", "quantity", "channel", "status", "order_fee_fen", "paid_fee_fen",
    "refund_fee_fen", "platform_fee_fen", "time",
)  # fmt: skip
_LINK_SECONDS = 1800
_MOST_DAYS = 31
# Fees of B1 in basis points.
_FEE_BP = {APPLE: 1200}
_OTHER_FEE_BP = 100


def download_bill(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/download_bill: the first asks only start the making."""
    data = signed_call(sandbox, request)
    first, last = _day(data.get("begin_ds")), _day(data.get("end_ds"))
    if first > last or (last - first).days >= _MOST_DAYS:
        raise PlatformError(WRONG_FIELD, "invalid begin_ds or end_ds")
    with sandbox.lock:
        settings = sandbox.state.settings
        today = beijing_day(sandbox.clock.now())
        until = last.date().isoformat()
        if until > today or (until == today and not settings.xpay_bill_today):
            raise PlatformError(BEING_MADE, "bill is being made, try again later")
        state = sandbox.state.xpay
        name = f"{data['env']}:{first:%Y%m%d}:{last:%Y%m%d}"
        state.bill_asks[name] = state.bill_asks.get(name, 0) + 1
        if state.bill_asks[name] <= settings.xpay_bill_waits:
            raise PlatformError(BEING_MADE, "bill is being made, try again later")
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        content = _content(sandbox, data["env"], [f"{day:%Y%m%d}" for day in days])
        key = secrets.token_urlsafe(24)
        state.bill_files[key] = (sandbox.clock.now() + _LINK_SECONDS, content)
    url = f"{sandbox.base_url}/xpay/bill_files/{key}.csv"
    return json_reply({"errcode": 0, "errmsg": "ok", "url": url})


def bill_file(sandbox: Sandbox, request: Request, *, name: str) -> Reply:
    """GET the file of a bill; the address lives half an hour."""
    with sandbox.lock:
        until, content = sandbox.state.xpay.bill_files.get(name.removesuffix(".csv"), (0.0, b""))
        if until <= sandbox.clock.now():
            return Reply(403, b"expired", {"Content-Type": "text/plain"})
    return Reply(200, content, {"Content-Type": "text/csv; charset=utf-8"})


def plan_differences(sandbox: Sandbox, day: str, data: Json) -> Json:
    """What the bill of a day says wrongly: drop, extra, amounts, statuses."""
    if not _is_day(day):
        raise ControlError(400, "invalid_ds", "a day is yyyymmdd")
    known: dict[str, type] = {"drop": list, "extra": list, "amounts": dict, "statuses": dict}
    for name, value in data.items():
        if name not in known or not isinstance(value, known[name]):
            raise ControlError(400, f"invalid_{name}", f"one of {sorted(known)}, as documented")
    for row in data.get("extra", []):
        if not isinstance(row, dict) or not set(row) <= set(COLUMNS):
            raise ControlError(400, "invalid_extra", f"rows with columns of {COLUMNS}")
    with sandbox.lock:
        sandbox.state.xpay.bill_plans[day] = data
    return {"ds": day, **data}


def _content(sandbox: Sandbox, env: int, days: list[str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    for day in days:
        plan = sandbox.state.xpay.bill_plans.get(day, {})
        writer.writerows(_planted(_rows(sandbox, env, day), plan))
    return text.getvalue().encode()


def _rows(sandbox: Sandbox, env: int, day: str) -> list[Json]:
    """What was paid and what was given back that day in Beijing, in order of time."""
    state = sandbox.state.xpay
    timed = [
        (order.paid_at, _order_row(order))
        for order in state.orders.values()
        if order.paid and order.env == env
    ]
    timed += [
        (item.finished_at, _refund_row(item))
        for item in (*state.refunds.values(), *state.apple_refunds)
        if item.status == "success" and item.order.env == env
    ]
    timed.sort(key=lambda pair: pair[0])
    return [row for moment, row in timed if beijing_day(moment).replace("-", "") == day]


def _order_row(order: VirtualOrder) -> Json:
    return _common(order) | {
        "row_type": "order",
        "status": "PAID",
        "paid_fee_fen": order.fee,
        "refund_fee_fen": 0,
        "platform_fee_fen": _platform_fee(order.channel, order.fee),
        "time": rfc3339(order.paid_at),
    }


def _refund_row(item: VirtualRefund) -> Json:
    return _common(item.order) | {
        "row_type": "refund",
        "refund_order_id": item.number,
        "refund_wx_order_id": item.wx_order_id,
        "status": "REFUNDED",
        "paid_fee_fen": 0,
        "refund_fee_fen": item.fee,
        "platform_fee_fen": -_platform_fee(item.order.channel, item.fee),
        "time": rfc3339(item.finished_at),
    }


def _common(order: VirtualOrder) -> Json:
    return {
        "order_id": order.out_trade_no,
        "wx_order_id": order.wx_order_id,
        "openid": order.openid,
        "product_id": order.product_id,
        "quantity": order.quantity,
        "channel": order.channel,
        "order_fee_fen": order.fee,
    }


def _platform_fee(channel: str, fee: int) -> int:
    """Half a fen is rounded up."""
    return (fee * _FEE_BP.get(channel, _OTHER_FEE_BP) + 5000) // 10_000


def _planted(rows: list[Json], plan: Json) -> list[Json]:
    """The rows with a plan's differences; a refund is named by its own number."""
    changed = []
    for row in rows:
        number = row.get("refund_order_id") or row["order_id"]
        if number in plan.get("drop", []):
            continue
        if number in plan.get("amounts", {}):
            column = "refund_fee_fen" if row["row_type"] == "refund" else "paid_fee_fen"
            row |= {column: plan["amounts"][number]}
        if number in plan.get("statuses", {}):
            row |= {"status": plan["statuses"][number]}
        changed.append(row)
    return [*changed, *plan.get("extra", [])]


def _day(value: Any) -> datetime:
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not _is_day(text):
        raise PlatformError(WRONG_FIELD, "invalid begin_ds or end_ds")
    return _parsed(text)


def _is_day(text: str) -> bool:
    try:
        return len(text) == 8 and text.isascii() and text.isdigit() and bool(_parsed(text))
    except ValueError:
        return False


def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(f"{text[:4]}-{text[4:6]}-{text[6:]}")
