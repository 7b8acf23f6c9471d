"""Orders whose notifies are lost, late, doubled, concurrent, out of order or wrongly signed.

`python -m devstack prove notifies --orders 10000 [--seed 1]`. Each order is made and paid over
HTTP; about 30 % of the notifies are faulty. A few buyers cancel and pay all the same (late
money), a few pay twice (two channels). Prints the counts as JSON; exit 0 when no money is lost,
granted twice or without a place, and the audit holds.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.prove.stage import Shop, Stage, crew, stage
from devstack.prove.verdict import clean, judge, settle

# kind → (share of the notifies, its other fields); together about 30 %.
FAULTS: dict[str, tuple[float, dict[str, Any]]] = {
    "delay": (0.05, {"delay_seconds": 90}),
    "duplicate": (0.05, {"copies": 2}),
    "reorder": (0.05, {}),
    "bad_signature": (0.05, {}),
    "drop": (0.05, {}),
    "reset_after_effect": (0.02, {}),
}
CONCURRENT = 0.03  # eight copies at once
NEVER_SENT = 0.03  # the platform never notifies: only a query finds the money
LATE = 0.02
DOUBLE = 0.02


@dataclass
class Log:
    """What the buyers did, as they saw it."""

    paid: list[str] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, *numbers: str) -> None:
        with self.lock:
            self.did[what] += 1
            self.paid.extend(numbers)


def buy(place: Stage, shop: Shop, n: int, kind: str, log: Log) -> None:
    """One order from making to paying; `kind` is normal, silent, late or double."""
    people = len(shop.shoppers)
    shopper, product = shop.shoppers[n % people], shop.products[n // people]
    order = shopper.order(product, f"order-{n}")
    if order.status != 201:
        log.failed.append(f"order {n}: {order.status} {order.code}")
        return
    no = str(order.body["no"])
    numbers = [_attempt(shopper.pay(no, f"pay-{n}"))]
    if kind == "double":
        numbers.append(_attempt(shopper.pay(no, f"pay2-{n}", "native")))
    if kind == "late":
        cancelled = shopper.insist(f"/orders/{no}/cancel")
        if cancelled.status != 200:
            log.failed.append(f"cancel {n}: {cancelled.status} {cancelled.code}")
    for number in numbers:
        # Forced: the payer's act and our close may cross.
        place.sandbox.pay(
            number,
            notify=kind != "silent",
            wait=False,
            force=kind in {"late", "double"},
            openid=shopper.openid,
        )
    log.note(kind, *numbers)


def _attempt(answer: Any) -> str:
    if answer.status != 200:
        raise RuntimeError(f"pay: {answer.status} {answer.code}")
    return str(answer.body["out_trade_no"])


def plan(orders: int, seed: int) -> list[str]:
    """The kind of each order, drawn from the seed."""
    draw = random.Random(seed)  # noqa: S311  (reproducible, not secret)
    shares = {"silent": NEVER_SENT, "late": LATE, "double": DOUBLE}
    names = [*shares, "normal"]
    weights = [*shares.values(), 1 - sum(shares.values())]
    return draw.choices(names, weights, k=orders)


def _run(place: Stage, *, orders: int, seed: int, clients: int) -> dict[str, Any]:
    shop = place.shop(users=max(20, orders // 20), courses=21)
    for number, (kind, (share, fields)) in enumerate(FAULTS.items()):
        place.sandbox.fault(
            kind, on="notify", probability=share, seed=seed + number, id=kind, **fields
        )
    place.sandbox.fault(
        "duplicate", on="notify", probability=CONCURRENT, seed=seed + 99, copies=8, id="concurrent"
    )
    log = Log()
    began = time.monotonic()
    with crew(clients) as hands:
        for done in [
            hands.submit(buy, place, shop, n, kind, log)
            for n, kind in enumerate(plan(orders, seed))
        ]:
            done.result()
    took = time.monotonic() - began
    fired = {fault["id"]: fault["fired"] for fault in place.sandbox.faults()}
    rounds = settle(place, log.paid)
    place.sandbox.clear_faults()
    settle(place, log.paid, rounds=10)
    return {
        "orders": orders,
        "seed": seed,
        "orders_per_second": round(orders / took, 1),
        "buyers": dict(log.did),
        "refused": log.failed[:10],
        "faults_fired": fired,
        "settled_after_rounds": rounds,
        **judge(place, log.paid),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)


def run(told: argparse.Namespace, *, server: str, state: Path) -> dict[str, Any]:
    """The proof; "ok" when every order was taken and nothing is lost, doubled or homeless."""
    with stage("notifies", server=server, state=state) as place:
        seen = _run(place, orders=told.orders, seed=told.seed, clients=told.clients)
    return {"ok": clean(seen) and not seen["refused"], **seen}
