"""How much of the machine one web worker keeps after it has served feeds."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

from devstack.bench.feed import checked, doors
from devstack.bench.ground import Ground, web
from devstack.bench.report import Line

BAR_MB = 130
FEEDS = 2000  # for each worker
WORKERS = 2
HEAVY = frozenset({"torch", "scipy", "sklearn", "pandas"})


def run(place: Ground, *, feeds: int = FEEDS) -> list[Line]:
    """The largest worker's resident and proportional memory, and what it has imported."""
    files = doors(place)
    with web(place, KPAY_WEB_WORKERS=str(WORKERS)) as (port, pid):
        before = [resident(child) for child in children(pid)]
        checked(port, files.feed, seconds=120, most=WORKERS * feeds)
        after = {child: resident(child) for child in children(pid)}
        with urlopen(f"http://127.0.0.1:{port}/api/v1/bench/modules", timeout=10) as reply:  # noqa: S310
            told = json.load(reply)
        mapped = Path(f"/proc/{told['pid']}/maps").read_text()
    heavy = sorted(HEAVY.intersection(name.split(".")[0] for name in told["modules"]))
    heavy += [f"lib{name}" for name in HEAVY if f"/{name}/" in mapped and name not in heavy]
    rss = max(one["Rss"] for one in after.values())
    pss = max(one["Pss"] for one in after.values())
    fresh = max(one["Rss"] for one in before)
    return [
        Line(
            "memory",
            f"one web worker after {feeds} feeds, resident",
            f"{rss:.0f} MB",
            f"fresh {fresh:.0f} MB",
            rss / BAR_MB,
            f"≤ {BAR_MB} MB",
            rss <= BAR_MB,
            {"workers": after},
        ),
        Line("memory", "the same, shared pages counted by share", f"{pss:.0f} MB"),
        Line(
            "memory",
            "torch, SciPy, scikit-learn or pandas inside",
            ", ".join(heavy) or "none",
            f"{len(told['modules'])} modules",
            bar="none",
            held=not heavy,
        ),
    ]


def children(pid: int) -> list[int]:
    """Process ids of the workers below the web process."""
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in told if resident(int(child))["Rss"] > 40]


def resident(pid: int) -> dict[str, float]:
    """MB by kind: Rss counts private and shared pages, Pss shares the shared ones out."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, amount, _unit = line.split()
        found[name.rstrip(":")] = int(amount) / 1024
    return {name: found[name] for name in ("Rss", "Pss", "Pss_Anon", "Pss_File")}
