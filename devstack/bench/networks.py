"""What the networks cost: `history_tower` on MovieLens, and an epoch of millions of events.

Each measurement runs in a process of its own, so that its peak of memory is its own.
`python -m devstack.bench.networks --job fit --source DIR` and `--job epoch --source EVENTS
--loss sampled|chunked|naive` print one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from devstack import movielens
from devstack.bench.report import Line, median
from devstack.bench.seeding import draw_interactions
from devstack.bootstrap import ROOT
from recommender.core.data import IdMap, Interactions
from recommender.core.metrics import mean_gain
from recommender.core.models.base import Model
from recommender.core.models.tower import TowerConfig
from recommender.core.reading import read_dataset
from recommender.core.splits import Split, leave_last_out
from recommender.core.training.auto import fit_named
from recommender.core.training.base import FitOptions
from recommender.core.training.loop import one_thread
from recommender.core.training.softmax import CatalogueLoss
from recommender.core.training.tower import TowerFitting

FIT_SECONDS, FIT_MB = 40.0, 500.0
EPOCH_SECONDS, EPOCH_LOSS = 80.0, 1.005  # the loss against the full softmax's
JUDGED = 20_000  # held-out events whose cross-entropy is taken


def run(state: Path, *, events: int, rounds: int = 3, naive: bool = False) -> list[Line]:
    """The fit on MovieLens as a median of `rounds`, the epoch once; `naive` takes minutes."""
    name, folder = movielens_folder(state)
    fits = [_apart("fit", str(folder)) for _ in range(rounds)]
    lines = _fit_lines(name, fits)
    ours = _apart("epoch", str(events), "sampled")
    if not naive:
        return [*lines, _epoch_line(events, ours)]
    whole = _apart("epoch", str(events), "naive")
    return [*lines, _epoch_line(events, ours, whole), *_loss_lines(events, ours, whole)]


def movielens_folder(state: Path) -> tuple[str, Path]:
    """MovieLens 100K where it is at hand (it may not be shipped), else MovieLens small."""
    shared = Path(os.environ.get("KPAY_SHARED_DATA") or ROOT.parent / "shared" / "data")
    source = shared / "ml-100k" / "u.data"
    if not source.is_file():
        return "MovieLens small", movielens.write(state / "movielens")
    folder = state / "ml-100k"
    folder.mkdir(parents=True, exist_ok=True)
    with source.open() as file, (folder / "interactions.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("user_id", "item_id", "event", "value", "timestamp"))
        for line in file:
            user, item, stars, moment = line.split()
            writer.writerow((f"u{user}", f"i{item}", "rating", stars, moment))
    return "MovieLens 100K", folder


def _fit_lines(name: str, fits: list[dict[str, Any]]) -> list[Line]:
    seconds, peak = median([one["cpu"] for one in fits]), max(one["peak_mb"] for one in fits)
    barred = name == "MovieLens 100K"
    return [
        Line(
            "networks",
            f"{name}: history_tower, epochs chosen and refitted, CPU seconds",
            f"{seconds:.1f}",
            f"with imports and reading {median([one['process_cpu'] for one in fits]):.1f}",
            seconds / FIT_SECONDS if barred else None,
            f"≤ {FIT_SECONDS:.0f}" if barred else "",
            seconds <= FIT_SECONDS if barred else None,
        ),
        Line(
            "networks",
            "its process, peak MB",
            f"{peak:.0f}",
            "",
            peak / FIT_MB if barred else None,
            f"≤ {FIT_MB:.0f}" if barred else "",
            peak <= FIT_MB if barred else None,
        ),
        Line(
            "networks",
            "its HR@10 and NDCG@10, leave-last-out",
            f"{fits[0]['hr']:.4f} {fits[0]['ndcg']:.4f}",
            f"{fits[0]['epochs']} epochs",
        ),
    ]


def _epoch_line(events: int, ours: dict[str, Any], whole: dict[str, Any] | None = None) -> Line:
    at_size = events >= 5_000_000
    return Line(
        "networks",
        f"{events:,} events, {ours['items']:,} items: an epoch, sampled softmax, CPU seconds",
        f"{ours['cpu']:.1f}",
        f"naive full softmax {whole['cpu']:.1f}" if whole else f"peak {ours['peak_mb']:.0f} MB",
        ours["cpu"] / whole["cpu"] if whole else None,
        f"≤ {EPOCH_SECONDS:.0f}" if at_size else "",
        ours["cpu"] <= EPOCH_SECONDS if at_size else None,
        {"sampled": ours, "naive": whole},
    )


def _loss_lines(events: int, ours: dict[str, Any], whole: dict[str, Any]) -> list[Line]:
    ratio = ours["held_loss"] / whole["held_loss"]
    return [
        Line(
            "networks",
            "its cross-entropy on held-out events, over all items",
            f"{ours['held_loss']:.4f}",
            f"naive full softmax {whole['held_loss']:.4f}",
            ratio,
            f"≤ {EPOCH_LOSS}",
            ratio <= EPOCH_LOSS,
        ),
        Line(
            "networks",
            "its peak MB",
            f"{ours['peak_mb']:.0f}",
            f"naive full softmax {whole['peak_mb']:.0f}",
            ours["peak_mb"] / whole["peak_mb"],
        ),
    ]


def _apart(job: str, source: str, loss: str = "sampled") -> dict[str, Any]:
    command = [sys.executable, "-m", "devstack.bench.networks", "--job", job, "--source", source]
    done = subprocess.run(
        [*command, "--loss", loss],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=3600,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def read_source(source: str) -> Interactions:
    """A dataset folder, or as many synthetic events as the number says: 50 a user, 500 an item."""
    if not source.isdigit():
        return read_dataset(source).interactions
    events = int(source)
    users, items = max(events // 50, 50), max(events // 500, 50)
    user_rows, item_rows = draw_interactions(items, users, events, 0)
    return Interactions.build(
        users=IdMap.from_ids(map(str, range(users))),
        items=IdMap.from_ids(map(str, range(items))),
        user_rows=user_rows,
        item_rows=item_rows,
        times=np.arange(len(user_rows), dtype=np.float64),
    )


def measure_fit(split: Split) -> dict[str, Any]:
    """As `recommend --model history_tower` fits: validation chooses the epochs, then a refit."""
    began = time.process_time()
    fitted = fit_named("history_tower", {}, split.train, FitOptions())
    spent = time.process_time() - began
    hr, ndcg = (mean_gain(fitted.model, split.train, split.held, 10, n) for n in ("hr", "ndcg"))
    return {"cpu": spent, "hr": hr, "ndcg": ndcg, "epochs": fitted.chosen.get("epochs")}


def measure_epoch(split: Split, loss: str) -> dict[str, Any]:
    """One epoch from the same start and in the same order of steps, whatever the loss."""
    items = len(split.train.items)
    config = TowerConfig()
    few = min(config.negatives, items // 5)  # small catalogues are sampled here as well
    config = replace(config, full_softmax_items=few if loss == "sampled" else items, negatives=few)
    fitting = TowerFitting(config, split.train, FitOptions())
    if loss == "naive":
        fitting.over_catalogue = NaiveLoss(split.train.item_counts, items, few, fitting.device)
    began = time.process_time()
    with one_thread():  # as a fit has it
        fitting.epoch()
    spent = time.process_time() - began
    return {"cpu": spent, "items": items, "held_loss": cross_entropy(fitting.model({}), split)}


class NaiveLoss(CatalogueLoss):
    """All logits of a step at once, and torch's own gradient."""

    def __call__(
        self,
        users: Tensor,
        outputs: Tensor,
        bias: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        rng: np.random.Generator,
    ) -> Tensor:
        return functional.cross_entropy(users @ outputs.T + bias, targets)


def cross_entropy(model: Model, split: Split) -> float:
    """Mean of -log softmax(scores)[held item] over up to JUDGED users, every item competing."""
    found = []
    held = zip(split.held.user_rows, split.held.item_rows, strict=True)
    for (user, items), _ in zip(held, range(JUDGED), strict=False):
        scores = model.score_one(split.train.history(user)).astype(np.float64)
        top = scores.max()
        found.append(top + np.log(np.exp(scores - top).sum()) - scores[items[0]])
    return float(np.mean(found))


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.bench.networks", description=__doc__)
    parser.add_argument("--job", choices=["fit", "epoch"], required=True)
    parser.add_argument("--source", required=True, help="a dataset folder or a number of events")
    parser.add_argument("--loss", choices=["sampled", "chunked", "naive"], default="sampled")
    told = parser.parse_args()
    split = leave_last_out(read_source(told.source))
    seen = measure_fit(split) if told.job == "fit" else measure_epoch(split, told.loss)
    seen["process_cpu"] = time.process_time()
    seen["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
