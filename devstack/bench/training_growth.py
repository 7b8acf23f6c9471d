"""How the closed-form models grow with the data: CPU seconds against events, and memory.

Memory is what the process holds while it fits, the data included, not what drawing them took.

A section of its own, and part of `--full`: twenty million events take their time.
"""

from __future__ import annotations

from pathlib import Path

from devstack.bench import synthetic
from devstack.bench.report import Line
from devstack.bench.training import PEER, Told, in_turn, middle

SECTION = "train-growth"
ITEMS = 20_000
SIZES = (500_000, 5_000_000, 20_000_000)
QUICK_ITEMS, QUICK_SIZES = 1_000, (20_000, 100_000)
EACH = 50  # events of a user
GROWTH_BAR = 1.2  # times as much as the data
PEAK_MB = {"ials": 1200.0, "ease": 3000.0, "transitions": 3000.0, "item_knn": 3000.0}
READ_BAR_MB = 2000.0


def run(state: Path, *, rounds: int = 3, quick: bool = False) -> list[Line]:
    """Each model at each size, everything learned from, nothing judged."""
    items, sizes = (QUICK_ITEMS, QUICK_SIZES) if quick else (ITEMS, SIZES)
    found = {}
    for size in sizes:
        source = f"{size // EACH}x{items}x{size}"
        found[size] = in_turn((*PEAK_MB, PEER), source, rounds, "--whole")
    lines = [line for model in (*PEAK_MB, PEER) for line in _growth(model, found)]
    return [*lines, _read(state, items, sizes[-1])]


def _growth(model: str, found: dict[int, dict[str, list[Told]]]) -> list[Line]:
    lines: list[Line] = []
    before: tuple[float, float] | None = None
    for size, told in found.items():
        rounds = told[model]
        events, cpu, peak = (middle(rounds, name) for name in ("events", "fit_cpu", "fit_held_mb"))
        beside, held, bar = f"{peak:.0f} MB", None, ""
        grown = None
        if before is not None:
            grown = (cpu / before[1]) / (events / before[0])
            if model in PEAK_MB:
                bar = f"≤ {GROWTH_BAR} × the data, ≤ {PEAK_MB[model]:.0f} MB"
                held = grown <= GROWTH_BAR and peak <= PEAK_MB[model]
        if model == "ials":
            beside += f", implicit {middle(told[PEER], 'fit_cpu'):.1f} CPU s"
        name = f"{model}, {size:,} events, fit, CPU seconds"
        lines.append(Line(SECTION, name, f"{cpu:.2f}", beside, grown, bar, held))
        before = (events, cpu)
    return lines


def _read(state: Path, items: int, size: int) -> Line:
    """The largest from a file, in one process."""
    folder = synthetic.write(state / f"events-{size}", size // EACH, items, size)
    told = in_turn(("ials",), str(folder), 1, "--whole")["ials"][0]
    (folder / "interactions.csv").unlink()
    return Line(
        SECTION,
        f"ials, {size:,} events with reading the file, peak",
        f"{told['fit_mb']:.0f} MB",
        f"reading {told['read_cpu']:.1f} CPU s, {told['read_mb']:.0f} MB",
        told["fit_mb"] / READ_BAR_MB,
        f"≤ {READ_BAR_MB:.0f} MB",
        told["fit_mb"] <= READ_BAR_MB,
    )
