"""Bench databases filled once and kept: a shop by size, and the demo's own data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from devstack import movielens
from devstack.bench.ground import Ground, ground
from devstack.bootstrap import ROOT
from devstack.stack import manage

# A change here, or in what writes artifacts, makes the kept databases stale.
SOURCES = (
    "devstack/bench/seeding.py",
    "devstack/bench/publish.py",
    "recommender/core/artifacts.py",
)


@dataclass(frozen=True)
class Size:
    courses: int
    users: int
    events: int
    tokens: int = 4000

    @property
    def name(self) -> str:
        return f"{self.courses:,} courses, {self.users:,} users, {self.events:,} events"


def shop(server: str, state: Path, size: Size, name: str = "kpay_bench") -> Ground:
    """The seeded shop with a serving model; filled anew when its size or the code has changed."""
    place = ground(server, name, state)
    mark = _mark({"size": asdict(size)})
    if _marked(place, mark):
        return place
    print(f"· seeding {name}: {size.name}", flush=True)
    place = _emptied(server, state, place, name)
    asked = [("--courses", size.courses), ("--users", size.users), ("--events", size.events)]
    arguments = [str(part) for pair in (*asked, ("--tokens", size.tokens)) for part in pair]
    place.run("devstack.bench.seeding", *arguments, "--out", str(place.tokens))
    print("· fitting and publishing its model", flush=True)
    place.run("devstack.bench.publish", seconds=1200)
    _sign(place, mark)
    return place


def demo(server: str, state: Path, name: str = "kpay_bench_demo") -> Ground:
    """The demo's catalogue and ratings, and a model of the demo's size."""
    place = ground(server, name, state)
    mark = _mark({"demo": 1})
    if _marked(place, mark):
        return place
    print(f"· loading the demo's data into {name}", flush=True)
    place = _emptied(server, state, place, name)
    manage(place.env, "load_sample", "--catalogue", quiet=True)
    folder = movielens.write(state / "movielens")
    manage(place.env, "import_dataset", str(folder), quiet=True)
    manage(place.env, "load_sample", "--interactions", "--bridge", folder.name, quiet=True)
    zeros = [part for name in ("courses", "users", "events") for part in (f"--{name}", "0")]
    place.run(
        "devstack.bench.seeding", *zeros, "--tokens", "2000", "--existing",
        "--out", str(place.tokens),
    )  # fmt: skip
    place.run("devstack.bench.publish", "--tower", "5", seconds=1200)
    _sign(place, mark)
    return place


def _emptied(server: str, state: Path, place: Ground, name: str) -> Ground:
    place.drop(server)
    return ground(server, name, state)


def _mark(what: dict[str, object]) -> str:
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    models = sorted((ROOT / "recommender/core/models").glob("*.py"))
    files: Sequence[Path] = [*(ROOT / name for name in SOURCES), *models]
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _marked(place: Ground, mark: str) -> bool:
    rows = place.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname = current_database()"
    )
    models = place.state / "models"
    return rows[0][0] == mark and place.tokens.exists() and any(models.glob("bench-*"))


def _sign(place: Ground, mark: str) -> None:
    """Written last: a half-filled database carries no mark."""
    place.execute(f"COMMENT ON DATABASE {place.name} IS '{mark}'")
