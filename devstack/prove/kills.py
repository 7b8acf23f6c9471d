"""Orders while processes are killed, the database restarts and the queue is emptied.

`python -m devstack prove kills --orders 3000 --kills 200 --restarts 10 --flushes 10 [--seed 1]`.
Web, worker and beat are ended by SIGKILL at moments drawn from the seed (the whole process group,
so nobody ends cleanly), PostgreSQL is restarted in immediate mode, the queue's tables are emptied.
Buyers repeat a call that got no answer, with the same Idempotency-Key. Prints the counts as JSON;
exit 0 when nothing is lost, granted twice or homeless, and all that is due was done within a
minute of the last order.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from devstack.postgres import EmbeddedPostgres
from devstack.processes import pick_port
from devstack.prove.notifies import Log, buy
from devstack.prove.stage import COMMANDS, Stage, crew, stage
from devstack.prove.verdict import clean, judge, lost, settle

PG_PORT = 54400
BACKLOG_SECONDS = 60


class Havoc:
    """Breaks something each time enough orders are done; starts again what has ended.

    Runs in the main thread: Linux ends a child when the *thread* that started it ends.
    """

    def __init__(
        self, place: Stage, server: EmbeddedPostgres, acts: list[tuple[int, str]], log: Log
    ) -> None:
        self.place, self.server, self.acts, self.log = place, server, acts, log
        self.did: Counter[str] = Counter()

    def step(self) -> None:
        """Whatever is due now."""
        self.mend()
        if self.acts and sum(self.log.did.values()) >= self.acts[0][0]:
            self.act(self.acts.pop(0)[1])

    def act(self, what: str) -> None:
        if what == "restart":
            self.server.restart_hard()
        elif what == "flush":
            empty_queue(self.place.url)
        else:
            self.place.processes.kill(what)
            self.place.start(what)
        self.did[what] += 1

    def mend(self) -> None:
        """Start what has ended by itself, as a supervisor would."""
        for name in COMMANDS:
            if not self.place.processes.alive(name):
                self.did[f"{name} ended by itself"] += 1
                self.place.start(name)


def empty_queue(url: str) -> None:
    """Every message is gone, as after a broker's flush."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as link:
        tables = link.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname = 'pgmq' AND tablename LIKE 'q\\_%'"
        ).fetchall()
        for schema, table in tables:
            link.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(schema, table)))


def script(orders: int, counts: dict[str, int], seed: int) -> list[tuple[int, str]]:
    """(orders done, what to break), in the order of the first."""
    draw = random.Random(seed)  # noqa: S311  (reproducible, not secret)
    acts = [
        (draw.randrange(1, max(2, orders - 1)), kind)
        for kind, count in counts.items()
        for _ in range(count)
    ]
    return sorted(
        (at, draw.choice(list(COMMANDS)) if kind == "kill" else kind) for at, kind in acts
    )


def backlog(place: Stage) -> tuple[float, dict[str, int]]:
    """Seconds until nothing is due any more, 0 known faults; and what is left after two minutes."""
    began = time.monotonic()
    pending: dict[str, int] = {}
    while time.monotonic() - began < 2 * BACKLOG_SECONDS:
        pending = place.audit()["pending"]
        if not any(pending.values()):
            return time.monotonic() - began, pending
        time.sleep(1)
    return time.monotonic() - began, pending


def _run(
    place: Stage, server: EmbeddedPostgres, *, orders: int, counts: dict[str, int], seed: int,
    clients: int,
) -> dict[str, Any]:  # fmt: skip
    shop = place.shop(users=max(10, orders // 20), courses=21)
    log = Log()
    havoc = Havoc(place, server, script(orders, counts, seed), log)
    began = time.monotonic()
    with crew(clients) as hands:
        buying = [hands.submit(buy, place, shop, n, "normal", log) for n in range(orders)]
        while not all(one.done() for one in buying):
            havoc.step()
            time.sleep(0.05)
        for one in buying:
            one.result()
    took = time.monotonic() - began
    havoc.mend()
    place.processes.wait_ready("web", place.web_ready, 60)
    seconds, pending = backlog(place)
    unknown = len(lost(place, log.paid))
    rounds = settle(place, log.paid, rounds=30)
    return {
        "orders": orders,
        "seed": seed,
        "orders_per_second": round(orders / took, 1),
        "buyers": dict(log.did),
        "refused": log.failed[:10],
        "did": dict(havoc.did),
        "not_done": len(havoc.acts),
        "backlog_seconds": round(seconds, 1),
        "backlog_left": pending,
        "money_unknown_after_backlog": unknown,
        "settled_after_rounds": rounds,
        **judge(place, log.paid),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--flushes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)


def run(told: argparse.Namespace, *, server: str, state: Path) -> dict[str, Any]:
    """The proof, on a PostgreSQL of its own that may be restarted; `server` is left alone."""
    counts = {"kill": told.kills, "restart": told.restarts, "flush": told.flushes}
    with (
        EmbeddedPostgres(state / "postgres", pick_port(PG_PORT)) as own,
        stage("kills", server=own.url, state=state) as place,
    ):
        seen = _run(
            place, own, orders=told.orders, counts=counts, seed=told.seed, clients=told.clients
        )
    quick = seen["backlog_seconds"] <= BACKLOG_SECONDS
    return {"ok": clean(seen) and not seen["refused"] and quick, **seen}
