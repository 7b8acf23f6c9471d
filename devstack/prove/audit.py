"""Fills a database of its own with journals, and audits it as an operator would.

Seconds and the highest resident memory are those of the `manage.py audit --json` process. While
it runs, a writer commits changes of audited rows, and what the server's processes hold for
themselves is watched: work is not to be moved there unseen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from devstack.bench.ground import Ground, ground
from devstack.bootstrap import ROOT

MOST_SECONDS = 60.0
MOST_MB = 500.0
NAME = "kpay_prove_audit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--journals", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true", help="leave the database for a next look")
    parser.add_argument("--selftest", action="store_true", help="also time the selftest there")


def run(told: argparse.Namespace, *, server: str, state: Path) -> dict[str, Any]:
    """The figures, and whether they are below the bars and every invariant held."""
    place = ground(server, NAME, state)
    try:
        found = place.execute("SELECT count(*) FROM payments_journal")[0][0]
        if found != told.journals:
            place.drop(server)
            place = ground(server, NAME, state)
            began = time.monotonic()
            place.run("devstack.prove.journals", "--journals", str(told.journals))
            print(f"· filled in {time.monotonic() - began:.0f} s", flush=True)
        return _measured(place, told)
    finally:
        if not told.keep:
            place.drop(server)


def _measured(place: Ground, told: argparse.Namespace) -> dict[str, Any]:
    entries = place.execute("SELECT count(*) FROM payments_entry")[0][0]
    load = os.getloadavg()[0]
    with _Writer(place) as writer, _Watch(place) as watch:
        report, seconds, peak_mb = _timed(place, "audit", "--json")
    result = {
        "proof": "audit",
        "ok": bool(
            report["ok"]
            and report["counts"]["journals"] == told.journals
            and seconds <= MOST_SECONDS
            and peak_mb <= MOST_MB
        ),
        "holds": report["ok"],
        "broken": [line["id"] for line in report["invariants"] if line["violations"]],
        "journals": told.journals,
        "entries": entries,
        "seconds": round(seconds, 1),
        "peak_rss_mb": round(peak_mb, 1),
        "server_anon_mb": round(watch.peak_mb, 1),
        "server_cpu_seconds": round(watch.cpu_seconds, 1),
        "writes": writer.count,
        "slowest_write_ms": round(writer.slowest * 1000, 1),
        "cores": os.cpu_count(),
        "load_before": round(load, 1),
        "bars": {"seconds": MOST_SECONDS, "mb": MOST_MB},
    }
    if told.selftest:
        print(f"· audited: {json.dumps(result)}", flush=True)
        lines, took, _peak = _timed(place, "audit", "--selftest", "--json")
        missed = [line["id"] for line in lines if line["detected"] is False]
        result |= {"selftest_seconds": round(took, 1), "selftest_missed": missed}
        result["ok"] = result["ok"] and not missed
    return result


def _timed(place: Ground, *arguments: str) -> tuple[Any, float, float]:
    """What `manage.py` printed as JSON, its seconds, its highest resident memory in MB."""
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=dict(place.env), stdout=out
        )
        _pid, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
    if process.returncode == 2 or not said:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return json.loads(said), seconds, used.ru_maxrss / 1024


class _Beside:
    """Something that goes on in a thread while the block runs."""

    pause = 0.05

    def __init__(self, place: Ground) -> None:
        self.place = place
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self.place.url, autocommit=True) as link:
            while not self._over.wait(self.pause):
                self.step(link)

    def step(self, link: psycopg.Connection[Any]) -> None:
        raise NotImplementedError


class _Writer(_Beside):
    """Touches rows that the audit reads; the slowest commit says whether it was kept waiting."""

    count = 0
    slowest = 0.0

    def step(self, link: psycopg.Connection[Any]) -> None:
        began = time.monotonic()
        with link.transaction():
            for table in ("payments_order", "payments_payment", "payments_refund"):
                # A column that no rule looks at.
                at = "expires_at" if table == "payments_order" else "checks"
                link.execute(
                    f"UPDATE {table} SET {at} = {at}"  # noqa: S608  (our own names)
                    f" WHERE id = (SELECT max(id) - %s FROM {table})".encode(),
                    [self.count],
                )
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.count += 1


class _Watch(_Beside):
    """Private memory and processor time of the server's processes that work for the audit."""

    pause = 0.2
    peak_mb = 0.0

    def __init__(self, place: Ground) -> None:
        super().__init__(place)
        self._cpu: dict[int, float] = {}

    @property
    def cpu_seconds(self) -> float:
        """Of all of them; short of what the last fifth of a second took."""
        return sum(self._cpu.values())

    def step(self, link: psycopg.Connection[Any]) -> None:
        rows = link.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'kpay'"
        ).fetchall()
        self.peak_mb = max(self.peak_mb, sum(_anon_mb(pid) for (pid,) in rows))
        self._cpu |= {pid: _cpu_seconds(pid) for (pid,) in rows}


def _anon_mb(pid: int) -> float:
    """0 where the server runs elsewhere."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith("RssAnon")), "")
    return int(line.split()[1]) / 1024 if line else 0.0


def _cpu_seconds(pid: int) -> float:
    """User and system time (fields 14 and 15 of /proc/PID/stat); 0 where that can't be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
