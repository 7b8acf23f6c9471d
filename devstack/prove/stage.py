"""Where the proofs of money run: a database of their own, the sandbox, web, worker, beat.

Nothing of the product is replaced. The clock of product and sandbox is one file that the proof
may move. Facts are read through the `audit` schema, as an outside auditor would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from devstack.bootstrap import ROOT
from devstack.processes import Processes, pick_port
from devstack.prove.client import Shopper
from devstack.stack import answers, manage, secret, wechat_environment
from wechat_sandbox.client import SandboxClient

WEB_PORT = 8800
SANDBOX_PORT = 9800
COMMANDS: Mapping[str, Sequence[str]] = {
    "web": ("-m", "kpay_site.serve"),
    # The queue `default` alone: training has no part in money, and torch takes long to start.
    "worker": (
        "-m", "celery", "-A", "kpay_site.celery", "worker", "-Q", "default", "-c", "2",
        "--without-mingle", "--without-gossip", "--loglevel", "WARNING",
    ),
    "beat": (
        "-m", "celery", "-A", "kpay_site.celery", "beat", "--loglevel", "WARNING", "--pidfile=",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """Who may buy what."""

    shoppers: list[Shopper]
    products: list[int]
    price_fen: int


@dataclass(frozen=True)
class Stage:
    """A running product with its sandbox."""

    web: str
    sandbox: SandboxClient
    url: str
    env: Mapping[str, str]
    processes: Processes
    state: Path
    began: float = field(default_factory=time.monotonic)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of the database, read outside the product."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as link:
            return link.execute(query.encode(), list(values) or None).fetchall()

    def one(self, query: str, values: Sequence[Any] = ()) -> int:
        return int(self.rows(query, values)[0][0])

    def run(self, module: str, *arguments: str, seconds: float = 600) -> str:
        """A module in a process with the product's environment; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT, env=dict(self.env), check=True, stdout=subprocess.PIPE, text=True,
            timeout=seconds,
        )  # fmt: skip
        return done.stdout

    def audit(self) -> dict[str, Any]:
        """The report of `manage.py audit --json`, whatever it says."""
        done = subprocess.run(
            [sys.executable, "manage.py", "audit", "--json"],
            cwd=ROOT, env=dict(self.env), check=False, stdout=subprocess.PIPE, text=True,
            timeout=300,
        )  # fmt: skip
        if done.returncode == 2:
            raise RuntimeError("the audit could not check")
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return report

    def start(self, name: str) -> None:
        """One of COMMANDS; it need not be ready yet."""
        self.processes.start(name, [sys.executable, *COMMANDS[name]], self.env)

    def web_ready(self) -> bool:
        return answers(f"{self.web}/readyz")

    def shop(self, *, users: int, courses: int, price_fen: int = 990) -> Shop:
        """Learners whom the sandbox knows, with tokens, and courses on sale."""
        out = self.state / "people.json"
        self.run(
            "devstack.prove.people", "--users", str(users), "--courses", str(courses),
            "--price", str(price_fen), "--out", str(out),
        )  # fmt: skip
        people = json.loads(out.read_text(encoding="utf-8"))
        for openid in people["openids"]:
            self.sandbox.user(openid=openid, platform="android")
        pairs = zip(people["openids"], people["tokens"], people["user_ids"], strict=True)
        shoppers = [Shopper(self.web, openid, token, user_id) for openid, token, user_id in pairs]
        return Shop(shoppers, people["products"], price_fen)


@contextmanager
def crew(size: int) -> Iterator[ThreadPoolExecutor]:
    """Threads; when the block is left early, what they have not begun is forgotten."""
    pool = ThreadPoolExecutor(size)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def stage(
    name: str,
    *,
    server: str,
    state: Path,
    processes: Sequence[str] = ("web", "worker", "beat"),
    **extra: str,
) -> Iterator[Stage]:
    """A fresh database `kpay_prove_<name>` on `server`, and everything that serves it.

    Files stand below `state`. All of it is gone when the block ends, the logs stay.
    """
    state = state / name
    state.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        url = fresh_database(server, f"kpay_prove_{name}")
        stack.callback(drop_database, server, f"kpay_prove_{name}")
        clock = state / "clock"
        clock.unlink(missing_ok=True)
        run = stack.enter_context(Processes(state / "logs"))
        for log in run.logs.glob("*.log"):
            log.unlink()
        env = {
            **os.environ,
            "KPAY_ENV": "test",
            "KPAY_RATE_LIMITS": "off",
            "KPAY_SECRET_KEY": secret(state / "secret"),
            "KPAY_CLOCK_OFFSET_FILE": str(clock),
            "KPAY_SWEEP_SECONDS": "1",
            "KPAY_LOG_LEVEL": "WARNING",
            "KPAY_WEB_WORKERS": "2",
            "KPAY_WEB_THREADS": "4",
            "DATABASE_URL": url,
            "CELERY_BROKER_URL": "",
            "DJANGO_SETTINGS_MODULE": "kpay_site.settings",
            **extra,
        }
        web_port, sandbox_port = pick_port(WEB_PORT), pick_port(SANDBOX_PORT)
        env |= {
            "PORT": str(web_port),
            "KPAY_PUBLIC_BASE_URL": f"http://127.0.0.1:{web_port}",
            **wechat_environment(state / "keys", sandbox_port),
        }
        manage(env, "migrate", "--verbosity", "0")
        run.start(
            "sandbox",
            [sys.executable, "-m", "wechat_sandbox", "--port", str(sandbox_port),
             "--target", f"http://127.0.0.1:{web_port}", "--keys", str(state / "keys"),
             "--clock-file", str(clock), "--seed", "1"],
            env,
        )  # fmt: skip
        sandbox = f"http://127.0.0.1:{sandbox_port}"
        place = Stage(f"http://127.0.0.1:{web_port}", SandboxClient(sandbox), url, env, run, state)
        run.wait_ready("sandbox", lambda: answers(f"{sandbox}/_sandbox/clock"))
        for process in processes:
            place.start(process)
        if "web" in processes:
            run.wait_ready("web", place.web_ready)
        yield place


def fresh_database(server: str, name: str) -> str:
    """An empty database of this name; its address."""
    drop_database(server, name)
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def drop_database(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as link:
        identifier = sql.Identifier(name)
        link.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
