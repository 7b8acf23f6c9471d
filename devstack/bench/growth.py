"""How the feed's latency grows with courses and learners (`--full` only: it takes its time)."""

from __future__ import annotations

from pathlib import Path

from devstack.bench.feed import checked, doors
from devstack.bench.ground import web
from devstack.bench.report import Line
from devstack.bench.shop import Size, shop

COURSES = (1_000, 10_000, 100_000)
USERS = (10_000, 100_000)


def run(server: str, state: Path) -> list[Line]:
    """One line per size: feeds one after another, so that no queue stands in the figure."""
    lines = []
    least = 0.0
    for courses in COURSES:
        for users in USERS:
            size = Size(courses, users, 10 * users, 1000)
            place = shop(server, state, size, f"kpay_bench_{courses}_{users}")
            file = doors(place).feed
            with web(place) as (port, _pid):
                checked(port, file, seconds=5)
                seen = checked(port, file, seconds=8, concurrency=1)
            least = least or seen.p50_ms
            lines.append(
                Line(
                    "growth",
                    f"feed, {courses:,} courses, {users:,} users, p50",
                    f"{seen.p50_ms:.1f} ms",
                    f"p99 {seen.p99_ms:.1f} ms",
                    seen.p50_ms / least,
                )
            )
            place.drop(server)
    return lines
