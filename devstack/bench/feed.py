"""Feeds a second beside the floor: same server, same authentication, same concurrency."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devstack.bench import load
from devstack.bench.ground import Ground, web
from devstack.bench.load import Load
from devstack.bench.report import Line, at_least, median

CONCURRENCY = 16
BAR = 0.30
FEED = "/api/v1/feed"


class BenchFailed(RuntimeError):
    """A figure could not be had; the message says why."""


@dataclass(frozen=True)
class Doors:
    """Files of ready requests: the floor's and the feed's, of many learners each."""

    floor: Path
    feed: Path


def doors(place: Ground) -> Doors:
    tokens = place.tokens.read_text(encoding="ascii").split()
    courses = [row[0] for row in place.execute("SELECT id FROM content_course ORDER BY id")]
    floor = (
        load.get(f"/api/v1/bench/floor/{courses[n % len(courses)]}", token)
        for n, token in enumerate(tokens)
    )
    feed = (load.get(FEED, token) for token in tokens)
    return Doors(
        load.write_requests(place.state / "floor.requests", floor),
        load.write_requests(place.state / "feed.requests", feed),
    )


def run(place: Ground, *, rounds: int = 3, seconds: float = 8) -> list[Line]:
    """Floor and feed in turn, `rounds` times; medians. Raises BenchFailed on any refused reply."""
    place.execute("TRUNCATE recommender_feedrequest")
    files = doors(place)
    floors: list[Load] = []
    feeds: list[Load] = []
    with web(place) as (port, _pid):
        for file in (files.floor, files.feed):
            checked(port, file, seconds=3)
        for _ in range(rounds):
            floors.append(checked(port, files.floor, seconds=seconds))
            start = sum(one.requests for one in feeds)
            feeds.append(checked(port, files.feed, seconds=seconds, start=start))
    by_model, every = place.execute(
        "SELECT count(*) FILTER (WHERE model_version <> ''), count(*) FROM recommender_feedrequest"
    )[0]
    if 2 * by_model < every:  # popular lists cost half as much
        raise BenchFailed(f"only {by_model} of {every} feeds were ranked by the model")
    pairs = zip(feeds, floors, strict=True)
    ratios = [feed.per_second / floor.per_second for feed, floor in pairs]
    return [
        Line(
            "feed",
            f"requests/s at concurrency {CONCURRENCY}",
            f"{per_second(feeds):.0f}/s",
            f"floor {per_second(floors):.0f}/s",
            **at_least(median(ratios), BAR),
            detail={"ratios": ratios, "bytes": feeds[0].bytes_each},
        ),
        *(latency("p50", feeds, floors), latency("p99", feeds, floors)),
    ]


def checked(
    port: int, file: Path, *, seconds: float, start: int = 0, concurrency: int = CONCURRENCY,
    most: int = 0,
) -> Load:  # fmt: skip
    """One round. Raises BenchFailed when any reply was not 200."""
    seen = load.run_apart(
        port, file, concurrency=concurrency, seconds=seconds, start=start, most=most
    )
    if seen.errors or not seen.requests:
        raise BenchFailed(f"{seen.errors} of {seen.requests} replies failed: {seen.first_error}")
    return seen


def per_second(rounds: list[Load]) -> float:
    return median([one.per_second for one in rounds])


def latency(which: str, feeds: list[Load], floors: list[Load]) -> Line:
    own = median([getattr(one, f"{which}_ms") for one in feeds])
    least = median([getattr(one, f"{which}_ms") for one in floors])
    return Line("feed", f"{which} latency", f"{own:.1f} ms", f"floor {least:.1f} ms", own / least)
