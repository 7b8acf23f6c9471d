"""Where the bench runs: its own databases, models and web process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from devstack.bootstrap import ROOT
from devstack.processes import Processes, pick_port
from devstack.stack import answers, manage, secret, wechat_environment

WEB_PORT = 8700
SETTINGS = "devstack.bench.settings"


@dataclass(frozen=True)
class Ground:
    """One bench database with its environment, and a folder for its files."""

    name: str
    env: Mapping[str, str]
    state: Path
    url: str

    @property
    def tokens(self) -> Path:
        """Access tokens of its learners, one a line."""
        return self.state / "tokens"

    def run(self, module: str, *arguments: str, seconds: float = 600) -> str:
        """A module of the bench in a process with this environment; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT, env=dict(self.env), check=True, stdout=subprocess.PIPE, text=True,
            timeout=seconds,
        )  # fmt: skip
        return done.stdout

    def execute(self, statement: str, values: Sequence[Any] | None = None) -> list[Any]:
        """One statement in the bench database; its rows, if it has any."""
        with psycopg.connect(self.url, autocommit=True) as link:
            cursor = link.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def drop(self, server_url: str) -> None:
        """The database and its files are gone."""
        with psycopg.connect(server_url, autocommit=True) as link:
            name = sql.Identifier(self.name)
            link.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        shutil.rmtree(self.state)


def ground(server_url: str, name: str, state: Path) -> Ground:
    """The database `name` on the server, made when missing, migrated; models in a folder of it."""
    parts = urlsplit(server_url)
    with psycopg.connect(server_url, autocommit=True) as link:
        found = link.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if found is None:
            link.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    own = state / name
    own.mkdir(parents=True, exist_ok=True)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    env = {
        **os.environ,
        "KPAY_ENV": "development",
        "KPAY_SECRET_KEY": secret(state / "secret"),
        "KPAY_MODEL_DIR": str(own / "models"),
        "KPAY_LOG_LEVEL": "WARNING",
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": "",
        "DJANGO_SETTINGS_MODULE": "kpay_site.settings",
        **wechat_environment(state / "keys", 9),  # nobody listens there
    }
    manage(env, "migrate", "--verbosity", "0")
    return Ground(name, env, own, url)


@contextmanager
def web(place: Ground, **extra: str) -> Iterator[tuple[int, int]]:
    """The real web process with the floor's door; yields its port and the id of its process."""
    port = pick_port(int(os.environ.get("KPAY_BENCH_PORT") or WEB_PORT))
    env = {**place.env, "PORT": str(port), "DJANGO_SETTINGS_MODULE": SETTINGS, **extra}
    with Processes(place.state / "logs") as processes:
        processes.start("web", [sys.executable, "-m", "kpay_site.serve"], env)
        processes.wait_ready("web", lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        yield port, processes.pid("web")
        processes.check()
