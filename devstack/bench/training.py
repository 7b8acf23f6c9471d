"""The models beside `implicit`: quality and cost on MovieLens small, `ials` on five million.

Each fit runs in a process of its own, product and peer in turn: `implicit` lives on two plateaus
of speed, and what one leaves warm the other would enjoy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from devstack.bench.report import Line, median
from devstack.bootstrap import ROOT

PEER, OTHER_PEER = "implicit-als", "implicit-bpr"
MODELS = ("popular", "item_knn", "ease", "ials", "transitions")
AUTO = "auto"
FULL = "100000x10000x5000000"
QUICK = "5000x1000x100000"
NDCG_BAR, FIT_BAR, SCORE_BAR, PEAK_BAR_MB = 0.98, 1.0, 0.8, 500.0
LISTED_BAR_MB = 400.0
DEEP = 100
Told = dict[str, Any]


def run(folder: Path, *, rounds: int = 3, source: str = FULL) -> list[Line]:
    """Medians of `rounds` runs in turn."""
    small = in_turn((PEER, OTHER_PEER, *MODELS), str(folder), rounds)
    small |= in_turn((AUTO,), str(folder), 1)  # takes as long as all the others
    large = in_turn(("ials", PEER), source, rounds, "--deep", str(DEEP))
    kernel = large["ials"][0]["kernel"] or "unknown"
    return [*_quality(small), *_beside(source, large), Line("train", "BLAS kernel", kernel)]


def in_turn(
    models: tuple[str, ...], source: str, rounds: int, *options: str
) -> dict[str, list[Told]]:
    """What `fitting` measured of each model, round by round."""
    found: dict[str, list[Told]] = {model: [] for model in models}
    for _ in range(rounds):
        for model in models:
            told = apart(model, source, *options)
            found[model].append(told)
            cost = f"{told['fit_cpu']:.1f} CPU s, {told['fit_held_mb']:.0f} MB"
            print(f"· {Path(source).name}: {model} {cost}", file=sys.stderr, flush=True)
    return found


def apart(model: str, source: str, *options: str) -> Told:
    command = [sys.executable, "-m", "devstack.bench.fitting"]
    done = subprocess.run(
        [*command, "--model", model, "--source", source, *options],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=1800,
    )  # fmt: skip
    told: Told = json.loads(done.stdout.splitlines()[-1])
    return told


def middle(rounds: list[Told], name: str) -> float:
    return median([one[name] for one in rounds])


def _quality(found: dict[str, list[Told]]) -> list[Line]:
    peer = middle(found[PEER], "ndcg")
    lines = []
    for model, rounds in found.items():
        ndcg = middle(rounds, "ndcg")
        cost = f"{middle(rounds, 'fit_cpu'):.2f} CPU s, {middle(rounds, 'fit_mb'):.0f} MB"
        lines.append(
            Line(
                "train",
                f"MovieLens small: {model}, HR@10 · NDCG@10",
                f"{middle(rounds, 'hr'):.4f} · {ndcg:.4f}",
                cost,
                ndcg / peer if peer else None,
            )
        )
    return lines


def _beside(source: str, found: dict[str, list[Told]]) -> list[Line]:
    ours, theirs = found["ials"], found[PEER]

    def line(what: str, name: str, unit: str, bar: float | None, least: bool = False) -> Line:
        own, peer = middle(ours, name), middle(theirs, name)
        ratio = own / peer if peer else 0.0
        told = f"{'≥' if least else '≤'} {bar:.2f}" if bar else ""
        held = None if bar is None else (ratio >= bar if least else ratio <= bar)
        return Line("train", f"{source}: ials {what}", f"{own:{unit}}", f"implicit {peer:{unit}}",
                    ratio, told, held)  # fmt: skip

    peak = middle(ours, "fit_mb")
    listed = middle(ours, "score_mb")
    same = all(one["same"] for one in ours)
    return [
        line("fit, CPU seconds", "fit_cpu", ".2f", FIT_BAR),
        line("fit, seconds", "fit_wall", ".2f", FIT_BAR),
        line("NDCG@10, leave-last-out", "ndcg", ".4f", NDCG_BAR, least=True),
        Line(
            "train",
            f"{source}: ials, peak of the process",
            f"{peak:.0f} MB",
            f"implicit {middle(theirs, 'fit_mb'):.0f} MB",
            bar=f"≤ {PEAK_BAR_MB:.0f} MB",
            held=peak <= PEAK_BAR_MB,
        ),
        line(f"top {DEEP} of all users, CPU seconds", "score_cpu", ".2f", SCORE_BAR),
        line(f"top {DEEP} of all users, seconds", "score_wall", ".2f", None),
        Line(
            "train",
            f"{source}: peak of the process after that",
            f"{listed:.0f} MB",
            f"implicit {middle(theirs, 'score_mb'):.0f} MB",
            bar=f"≤ {LISTED_BAR_MB:.0f} MB",
            held=listed <= LISTED_BAR_MB,
        ),
        Line("train", "lists as one by one", "the same" if same else "different", held=same),
    ]
