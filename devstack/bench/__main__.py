"""`make bench`: the tables of contract section 6, as ratios in one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from devstack import movielens
from devstack.bench import feed, growth, memory, notify, training, training_growth
from devstack.bench.feed import BenchFailed
from devstack.bench.report import Line, table
from devstack.bench.shop import Size, demo, shop
from devstack.bootstrap import ROOT
from devstack.postgres import PostgresFailed
from devstack.processes import StartFailed
from devstack.stack import database

SECTIONS = ("feed", "memory", "notify", "train", "networks")
LONG = ("train-growth", "growth")
FULL = Size(10_000, 100_000, 1_000_000)
QUICK = Size(1_000, 5_000, 60_000, 1000)


def sections(
    server: str, state: Path, *, quick: bool, full: bool = False, rounds: int = 3
) -> dict[str, Callable[[], list[Line]]]:
    """What can be measured, by name; nothing is made before a section is called."""
    size = QUICK if quick else FULL
    rounds, seconds = (1, 2.0) if quick else (rounds, 8.0)
    name = "kpay_bench_quick" if quick else "kpay_bench"
    return {
        "feed": lambda: feed.run(shop(server, state, size, name), rounds=rounds, seconds=seconds),
        "memory": lambda: memory.run(demo(server, state), feeds=300 if quick else memory.FEEDS),
        "notify": lambda: notify.run(
            shop(server, state, size, name),
            rounds=rounds,
            each=100 if quick else 300,
            seconds=seconds / 2,
        ),
        "train": lambda: training.run(
            movielens.write(state / "movielens"),
            rounds=rounds,
            source=training.QUICK if quick else training.FULL,
        ),
        "train-growth": lambda: training_growth.run(state, rounds=rounds, quick=quick),
        "networks": lambda: _networks(state, rounds, quick=quick, full=full),
        "growth": lambda: growth.run(server, state),
    }


def _networks(state: Path, rounds: int, *, quick: bool, full: bool) -> list[Line]:
    from devstack.bench import networks  # noqa: PLC0415 - loads torch

    events = 100_000 if quick else 5_000_000
    return networks.run(state, rounds=rounds, events=events, naive=quick or full)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--only", default="", help=f"of {','.join(SECTIONS)},{','.join(LONG)}")
    parser.add_argument("--quick", action="store_true", help="small data, one round: does it run")
    parser.add_argument(
        "--full",
        action="store_true",
        help="also what takes long: how all of it grows with size, the full softmax",
    )
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (3)")
    parser.add_argument("--json", type=Path, help="write the lines to this file too")
    told = parser.parse_args()
    wanted = [part for part in told.only.split(",") if part] or list(SECTIONS)
    if told.full:
        wanted += [name for name in LONG if name not in wanted]

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    state = Path(os.environ.get("KPAY_STATE_DIR") or ROOT / ".kpay").resolve() / "bench"
    state.mkdir(parents=True, exist_ok=True)
    try:
        with database(os.environ) as server:
            doors = sections(
                server, state, quick=told.quick, full=told.full, rounds=max(told.rounds, 1)
            )
            unknown = [name for name in wanted if name not in doors]
            if unknown:
                parser.error(f"no section {', '.join(unknown)}; known: {', '.join(doors)}")
            lines = measured([(name, doors[name]) for name in wanted])
    except (BenchFailed, PostgresFailed, StartFailed, subprocess.SubprocessError) as error:
        print(f"✘ {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    if told.json:
        told.json.write_text(json.dumps([line.as_json() for line in lines], ensure_ascii=False))
    return 0


def measured(chosen: list[tuple[str, Callable[[], list[Line]]]]) -> list[Line]:
    """Run the sections one after another; each table is printed as soon as it is there."""
    command = f"make bench ARGS={shlex.quote(' '.join(sys.argv[1:]))}"
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    cores = os.cpu_count()
    print(
        f"{command}\n{when} · {cores} cores · {platform.machine()} · load {os.getloadavg()[0]:.1f}"
    )
    found: list[Line] = []
    for name, run in chosen:
        began = time.monotonic()
        lines = run()
        found += lines
        print(f"\n{table(lines)}\n({name}: {time.monotonic() - began:.0f} s)", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
