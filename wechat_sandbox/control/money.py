"""Payers, refund outcomes, notifies and their forgers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from wechat_sandbox.control import fields
from wechat_sandbox.faults import FORGERIES
from wechat_sandbox.notifies import Notify
from wechat_sandbox.outgoing import send
from wechat_sandbox.pay import orders, refunds
from wechat_sandbox.pay.forging import Message, forged_message, new_notify, true_message
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Order
from wechat_sandbox.wire import ControlError, Json

_WAIT_SECONDS = 12.0
_MOST_FORGED = 2000
_FORGE_KINDS = {*FORGERIES, "duplicate"}


def payment(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """The payer's act. Unless `wait` is false, returns after the first delivery.

    `notify: false` keeps quiet: the forge call can then send the first notifies itself.
    """
    outcome = fields.choice(data, "outcome", {"success", "fail", "abandon"}, "success")
    with sandbox.lock:
        order = sandbox.state.orders.get(number)
    if order is None:
        raise ControlError(404, "order_not_exist", f"no order {number}")
    if outcome != "success":
        with sandbox.lock:
            order.attempts += outcome == "fail"
        return _payment_view(order, None)
    payer_total = data.get("payer_total_fen")
    if payer_total is not None:
        payer_total = fields.integer(data, "payer_total_fen", None, least=0, most=10**12)
    openid = None if data.get("openid") is None else fields.text(data, "openid")
    orders.pay(
        sandbox,
        number,
        payer_total=payer_total,
        coupon_type=fields.choice(data, "coupon_type", {"CASH", "NOCASH"}, "CASH"),
        openid=openid,
        force=fields.flag(data, "force", False),
    )
    if not fields.flag(data, "notify", True):
        return _payment_view(order, None)
    delay = fields.number(data, "delay_seconds", 0.0, least=0, most=10**8)
    notify = orders.notify_paid(sandbox, order, delay_seconds=delay)
    if fields.flag(data, "wait", True) and not delay:
        notify.first_attempt.wait(_WAIT_SECONDS)
    return _payment_view(order, notify)


def refund(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """Settles a refund now, or plans the outcome of one that is still to be asked for."""
    outcome = fields.choice(data, "outcome", set(refunds.OUTCOMES), "success")
    item = refunds.plan(sandbox, number, outcome)
    if item is None:
        return {"out_refund_no": number, "status": None, "planned": outcome, "notify": None}
    notify = refunds.settle(sandbox, item, outcome)
    if notify is not None and fields.flag(data, "wait", True):
        notify.first_attempt.wait(_WAIT_SECONDS)
    return {
        "out_refund_no": number,
        "status": item.status,
        "planned": None,
        "notify": None if notify is None else notify.view(),
    }


def console_refund(sandbox: Sandbox, data: Json) -> Json:
    """Somebody refunds on the merchant console; the product hears of it by the notify alone.

    The notify goes to `notify_url`, by default the order's own.
    """
    number = fields.text(data, "out_trade_no")
    outcome = fields.choice(data, "outcome", set(refunds.OUTCOMES), "success")
    with sandbox.lock:
        order = sandbox.state.orders.get(number)
        if order is None:
            raise ControlError(404, "order_not_exist", f"no order {number}")
        amount = fields.integer(data, "amount_fen", order.total, least=1, most=10**12)
        default = order.arguments["notify_url"]
        url = fields.text(data, "notify_url") if data.get("notify_url") else default
        item = refunds.console_refund(sandbox, order, amount, notify_url=url, outcome=outcome)
        hold = sandbox.state.settings.hold_refunds
        notify = None if hold else refunds.settle(sandbox, item, outcome)
    if notify is not None and fields.flag(data, "wait", True):
        notify.first_attempt.wait(_WAIT_SECONDS)
    return {
        "out_refund_no": item.out_refund_no,
        "refund_id": item.refund_id,
        "out_trade_no": number,
        "amount_fen": amount,
        "status": item.status,
        "notify": None if notify is None else notify.view(),
    }


def notify_list(sandbox: Sandbox, data: Json) -> Json:
    """Every notify with its deliveries and the answers: ?out_trade_no="""
    wanted = data.get("out_trade_no")
    with sandbox.lock:
        log = sandbox.notifies
        found = list(log) if wanted is None else log.of_order(str(wanted))
    return {"items": [notify.view() for notify in found]}


def forge(sandbox: Sandbox, data: Json, *, number: str) -> Json:
    """Sends notifies for an order outside any plan, all at once, and counts the answers.

    One `kind` with a `count`, or `mix: [{kind, count}]`, over `concurrency` connections.
    `duplicate` is the right notify, signed anew each time; `replay` the same bytes again.
    """
    mix = data.get("mix") or [{"kind": data.get("kind"), "count": data.get("count", 1)}]
    if not isinstance(mix, list) or not all(isinstance(part, dict) for part in mix):
        raise ControlError(400, "invalid_mix", "mix is a list of {kind, count}")
    kinds: list[str] = []
    for part in mix:
        kind = fields.choice(part, "kind", _FORGE_KINDS)
        kinds += [kind] * fields.integer(part, "count", 1, least=1, most=_MOST_FORGED)
    if len(kinds) > _MOST_FORGED:
        raise ControlError(400, "invalid_count", f"at most {_MOST_FORGED} at once")
    concurrency = fields.integer(data, "concurrency", min(len(kinds), 64), least=1, most=256)
    timeout = fields.number(data, "timeout_seconds", 30.0, least=0.1, most=120)
    notify = _notify_of(sandbox, number, data.get("url"))
    sandbox.random.shuffle(kinds)
    messages = [
        (kind, true_message(sandbox, notify))
        if kind == "duplicate"
        else (kind, forged_message(sandbox, notify, kind))
        for kind in kinds
    ]
    results = _volley(notify.url, messages, concurrency, timeout)
    by_kind: dict[str, Counter[str]] = {}
    for result in results:
        by_kind.setdefault(result["kind"], Counter())[str(result["status"])] += 1
    return {
        "notify_id": notify.id,
        "statuses": [result["status"] for result in results],
        "by_kind": {kind: dict(counts) for kind, counts in by_kind.items()},
        "results": results,
    }


def _notify_of(sandbox: Sandbox, number: str, url: object) -> Notify:
    """The order's own notify when there is one; else one made as if it had been paid."""
    with sandbox.lock:
        order = sandbox.state.orders.get(number)
        if order is None:
            raise ControlError(404, "order_not_exist", f"no order {number}")
        sent = [
            n for n in sandbox.notifies.of_order(number) if n.event_type == "TRANSACTION.SUCCESS"
        ]
        if sent and not url:
            return sent[0]
        plain = orders.imagined_payment(sandbox, order)
        address = url if isinstance(url, str) and url else order.arguments["notify_url"]
        if not address:
            raise ControlError(409, "no_notify_url", f"{number} was put into the book without one")
    notify = new_notify(sandbox, event_type="TRANSACTION.SUCCESS", url=address, plain=plain)
    if order.transaction_id and not sent:
        # A paid order that was kept quiet: from now on this is its notify.
        notify.state = "forged_only"
        notify.attempted()
        with sandbox.lock:
            sandbox.notifies.add(notify)
    return notify


def _volley(
    url: str, messages: Sequence[tuple[str, Message]], concurrency: int, timeout: float
) -> list[Json]:
    """All messages over `concurrency` threads that start together; order is kept."""
    results: list[Json] = [{} for _ in messages]
    places = iter(range(len(messages)))
    lock = threading.Lock()
    crew = min(concurrency, len(messages))
    barrier = threading.Barrier(crew)

    def work() -> None:
        barrier.wait(30)
        while True:
            with lock:
                place = next(places, None)
            if place is None:
                return
            kind, (headers, body) = messages[place]
            answer = send("POST", url, body, headers, timeout=timeout)
            results[place] = {
                "kind": kind,
                "status": answer.status,
                "body": answer.body.decode("utf-8", "replace"),
                "error": answer.error,
                "seconds": round(answer.seconds, 4),
            }

    threads = [threading.Thread(target=work, daemon=True) for _ in range(crew)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _payment_view(order: Order, notify: Notify | None) -> Json:
    return {
        "out_trade_no": order.out_trade_no,
        "transaction_id": order.transaction_id or None,
        "trade_state": order.state,
        "notify": None if notify is None else notify.view(),
    }
