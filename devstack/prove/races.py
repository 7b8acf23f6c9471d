"""64 clients at once on one coupon, balance, redeem code, refund and Idempotency-Key.

`python -m devstack prove races [--rounds 20] [--clients 64]`. Every call of a round leaves
together, over HTTP, to the real web process. Prints for each race how many succeeded in the worst
round; exit 0 when it was exactly the allowed number every time, no answer was a 5xx, PostgreSQL
counted no deadlock, and the audit holds.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from devstack.prove.client import Answer, Shopper
from devstack.prove.stage import Shop, Stage, stage
from devstack.stack import manage

Call = Callable[[], Answer]
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@dataclass
class Race:
    """How one race went over all rounds. `allowed` calls of a round may succeed."""

    allowed: int
    successes: list[int] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def note(self, answers: Sequence[Answer], succeeded: int) -> None:
        self.successes.append(succeeded)
        self.answers.update(f"{answer.status} {answer.code}".strip() for answer in answers)

    @property
    def held(self) -> bool:
        exact = all(count == self.allowed for count in self.successes)
        return exact and not any(text.startswith("5") for text in self.answers)

    def view(self) -> dict[str, Any]:
        return {
            "rounds": len(self.successes),
            "allowed": self.allowed,
            "fewest": min(self.successes),
            "most": max(self.successes),
            "answers": dict(self.answers),
            "held": self.held,
        }


def together(calls: Sequence[Call]) -> list[Answer]:
    """All calls at the same moment, each on a thread of its own."""
    barrier = threading.Barrier(len(calls))
    answers: list[Answer] = [Answer(599, {})] * len(calls)

    def one(place: int, call: Call) -> None:
        barrier.wait(30)
        try:
            answers[place] = call()
        except requests.RequestException as error:
            answers[place] = Answer(599, {"error": {"code": type(error).__name__}})

    threads = [threading.Thread(target=one, args=(n, call)) for n, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def good(answers: Sequence[Answer]) -> int:
    return sum(answer.status < 300 for answer in answers)


class Track:
    """The shop as the races use it: in round n shopper n is the one, all are the crowd."""

    def __init__(self, place: Stage, shop: Shop, rounds: int, clients: int) -> None:
        self.place, self.shop, self.rounds, self.clients = place, shop, rounds, clients
        self.crowd = shop.shoppers[rounds * 4 : rounds * 4 + clients]
        self.ids = self._provision()

    def _provision(self) -> dict[str, str]:
        document = {
            "coupon_templates": [
                {"key": f"budget{n}", "title": "抢券", "discount_fen": 100, "min_fen": 0,
                 "budget_count": 1, "budget_fen": 100, "per_user": 1, "valid_days": 30}
                for n in range(self.rounds)
            ] + [
                {"key": "one", "title": "一张", "discount_fen": 100, "min_fen": 0,
                 "budget_count": 10_000, "budget_fen": 10_000_000, "per_user": 1,
                 "valid_days": 30}
            ],
            "redeem_codes": [
                {"key": f"code{n}", "code": f"RACE-{n:04d}-ABCD",
                 "scope": f"course:{9_000_000 + n}", "max_uses": 1}
                for n in range(self.rounds)
            ],
            "earning_rules": [{"key": "in", "kind": "check_in", "points": 100}],
        }  # fmt: skip
        file = self.place.state / "races.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        said = manage(self.place.env, "provision", str(file), quiet=True)
        found: dict[str, str] = json.loads(said.splitlines()[-1])
        return found

    def shopper(self, race: int, n: int) -> Shopper:
        """A shopper of their own for round n of one of the four races that need one."""
        return self.shop.shoppers[race * self.rounds + n]

    def orders(self, shopper: Shopper, name: str, **fields: Any) -> list[Call]:
        """One order for each of as many products."""

        def call(n: int, product: int) -> Call:
            items = [{"product_id": str(product), "quantity": 1}]
            body = {"items": items, "platform": "android", **fields}
            return lambda: shopper.post("/orders", body, f"{name}-{n}")

        return [call(n, product) for n, product in enumerate(self.shop.products[: self.clients])]


def budget(track: Track, n: int) -> list[Answer]:
    body = {"template_id": track.ids[f"budget{n}"]}
    return together([lambda s=s: s.post("/coupons/claim", body) for s in track.crowd])  # type: ignore[misc]


def coupon(track: Track, n: int) -> list[Answer]:
    shopper = track.shopper(0, n)
    claimed = shopper.insist("/coupons/claim", {"template_id": track.ids["one"]})
    return together(track.orders(shopper, f"coupon{n}", coupon_id=claimed.body["id"]))


def balance(track: Track, n: int) -> list[Answer]:
    shopper = track.shopper(1, n)
    shopper.insist("/points/check-in")
    return together(track.orders(shopper, f"points{n}", points=100))


def redeem(track: Track, n: int) -> list[Answer]:
    body = {"code": f"RACE-{n:04d}-ABCD"}
    return together([lambda s=s: s.post("/redeem", body) for s in track.crowd])  # type: ignore[misc]


def refund(track: Track, n: int) -> list[Answer]:
    shopper = track.shopper(2, n)
    order = shopper.order(track.shop.products[0], f"refund-order-{n}")
    no = order.body["no"]
    paying = shopper.pay(no, f"refund-pay-{n}")
    track.place.sandbox.pay(paying.body["out_trade_no"])
    body = {"amount_fen": track.shop.price_fen, "reason": "不想学了"}
    return together(
        [
            lambda k=k: shopper.post(f"/orders/{no}/refunds", body, f"refund-{n}-{k}")  # type: ignore[misc]
            for k in range(track.clients)
        ]
    )


def key(track: Track, n: int) -> tuple[list[Answer], int]:
    """The answers, and how many different orders they speak of (and the table holds)."""
    shopper = track.shopper(3, n)
    items = [{"product_id": str(track.shop.products[0]), "quantity": 1}]
    body = {"items": items, "platform": "android"}
    answers = together([lambda: shopper.post("/orders", body, f"same-{n}")] * track.clients)
    told = {answer.body.get("no") for answer in answers if answer.status < 300}
    made = track.place.one(
        "SELECT count(*) FROM audit.orders WHERE user_id = %s", [str(shopper.user_id)]
    )
    return answers, max(len(told), made)


def _run(place: Stage, *, rounds: int, clients: int) -> dict[str, Any]:
    shop = place.shop(users=rounds * 4 + clients, courses=max(clients, 2))
    track = Track(place, shop, rounds, clients)
    before = place.one(DEADLOCKS)
    races = {name: Race(1) for name in ("budget", "coupon", "balance", "redeem", "refund", "key")}
    simple = {
        "budget": budget, "coupon": coupon, "balance": balance, "redeem": redeem, "refund": refund,
    }  # fmt: skip
    for n in range(rounds):
        for name, race in simple.items():
            answers = race(track, n)
            races[name].note(answers, good(answers))
        races["key"].note(*key(track, n))
    report = place.audit()
    return {
        "clients": clients,
        "races": {name: race.view() for name, race in races.items()},
        "deadlocks": place.one(DEADLOCKS) - before,
        "audit_ok": report["ok"],
        "broken": {r["id"]: r["rows"][:3] for r in report["invariants"] if r["violations"]},
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=64)


def run(told: argparse.Namespace, *, server: str, state: Path) -> dict[str, Any]:
    """The proof; "ok" when every race of every round let exactly the allowed number through."""
    with stage("races", server=server, state=state, processes=("web",)) as place:
        seen = _run(place, rounds=told.rounds, clients=told.clients)
    held = all(race["held"] for race in seen["races"].values())
    return {"ok": held and seen["audit_ok"] and seen["deadlocks"] == 0, **seen}
