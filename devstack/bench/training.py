"""`ials` beside `implicit` ALS: fit, quality and scoring, same data, factors and iterations.

Each fit runs in a process of its own, the two in turn: `implicit` lives on two plateaus of
speed, and what one leaves warm the other would enjoy.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from devstack.bench.report import Line, median
from devstack.bench.seeding import draw_interactions
from devstack.bootstrap import ROOT
from recommender.core.data import IdMap, Interactions
from recommender.core.metrics import gains, rankings
from recommender.core.models.ials import IALS
from recommender.core.reading import read_dataset
from recommender.core.splits import Split, leave_last_out
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer

FACTORS, ITERATIONS, THREADS = 64, 15, 2
K = 10
NDCG_BAR = 0.95
# 1 + alpha * weight as the product's; `implicit` takes the product of both as its confidence.
# Both get the same strength, the best of a few for `implicit` on validation.
REGULARIZATION, ALPHA = 0.01, 10.0
JUDGED = 2000  # users of the synthetic set whose lists are judged


def run(folder: Path, *, rounds: int = 3, events: int = 1_000_000) -> list[Line]:
    """Both data sets; CPU seconds and quality as medians of `rounds` alternating fits."""
    lines = []
    for name, source in (("MovieLens small", str(folder)), (f"synthetic {events:,}", str(events))):
        ours: list[dict[str, Any]] = []
        theirs: list[dict[str, Any]] = []
        for _ in range(rounds):
            ours.append(_apart("ials", source))
            theirs.append(_apart("implicit", source))
        lines += _compared(name, ours, theirs)
    return [*lines, Line("train", "BLAS kernel", ours[0]["kernel"] or "unknown")]


def _apart(model: str, source: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "devstack.bench.training", "--model", model, "--source", source],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=600,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _compared(name: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[Line]:
    def both(field: str) -> tuple[float, float]:
        return median([one[field] for one in ours]), median([one[field] for one in theirs])

    lines = []
    for field, what in (
        ("fit_cpu", "fit, CPU seconds"),
        ("fit_wall", "fit, seconds"),
        ("score_cpu", f"top {K} of all users, CPU seconds"),
    ):
        own, peer = both(field)
        lines.append(
            Line("train", f"{name}: ials {what}", f"{own:.2f}", f"implicit {peer:.2f}", own / peer)
        )
    own, peer = both("ndcg")
    ratio = own / peer if peer else 0.0
    lines.append(
        Line(
            "train",
            f"{name}: ials NDCG@{K}, leave-last-out",
            f"{own:.4f}",
            f"implicit {peer:.4f}",
            ratio,
            f"≥ {NDCG_BAR}",
            ratio >= NDCG_BAR,
        )
    )
    own, peer = both("peak_mb")
    lines.append(
        Line("train", f"{name}: peak MB", f"{own:.0f}", f"implicit {peer:.0f}", own / peer)
    )
    return lines


def read_source(source: str) -> Interactions:
    """A dataset folder, or as many synthetic events as the number says."""
    if not source.isdigit():
        return read_dataset(source).interactions
    events = int(source)
    users, items = max(events // 10, 50), max(events // 100, 50)
    user_rows, item_rows = draw_interactions(items, users, events, 0)
    return Interactions.build(
        users=IdMap.from_ids(map(str, range(users))),
        items=IdMap.from_ids(map(str, range(items))),
        user_rows=user_rows,
        item_rows=item_rows,
        times=np.arange(len(user_rows), dtype=np.float64),
    )


def measure_ials(split: Split) -> dict[str, Any]:
    trainer = make_trainer("ials", {"factors": FACTORS, "iterations": ITERATIONS})
    model, spent = _timed(lambda: trainer.fit(split.train, FitOptions()))
    assert isinstance(model, IALS)  # noqa: S101
    _, scored = _timed(lambda: rankings(model, split.train, range(len(split.train.users)), K))
    judged = split.held.user_rows[:JUDGED]
    lists = rankings(model, split.train, judged, K)
    return {**spent, "score_cpu": scored["fit_cpu"], "ndcg": _ndcg(lists, split)}


def measure_implicit(split: Split) -> dict[str, Any]:
    from implicit.als import AlternatingLeastSquares  # noqa: PLC0415
    from scipy.sparse import csr_matrix  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    train = split.train
    shape = (len(train.users), len(train.items))
    seen = csr_matrix((train.weights, (train.user_rows, train.item_rows)), shape=shape)
    with threadpool_limits(1, "blas"):  # as its authors ask: it has threads of its own
        peer = AlternatingLeastSquares(
            factors=FACTORS, iterations=ITERATIONS, regularization=REGULARIZATION, alpha=ALPHA,
            num_threads=THREADS, random_state=0, calculate_training_loss=False,
        )  # fmt: skip
        _, spent = _timed(lambda: peer.fit(seen, show_progress=False))
        everybody = np.arange(shape[0])
        (best, _), scored = _timed(lambda: peer.recommend(everybody, seen, N=K))
    lists = [best[user] for user in split.held.user_rows[:JUDGED]]
    return {**spent, "score_cpu": scored["fit_cpu"], "ndcg": _ndcg(lists, split)}


def _ndcg(lists: Any, split: Split) -> float:
    pairs = zip(lists, split.held.item_rows, strict=False)
    return float(np.mean([gains(np.asarray(found), held, K)["ndcg"] for found, held in pairs]))


def _timed(work: Any) -> tuple[Any, dict[str, float]]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, {
        "fit_cpu": time.process_time() - cpu,
        "fit_wall": time.perf_counter() - wall,
    }


def blas_kernel() -> str:
    from threadpoolctl import threadpool_info  # noqa: PLC0415

    kernels = {f"{one['internal_api']} {one.get('architecture')}" for one in threadpool_info()}
    return ", ".join(sorted(kernels))


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.bench.training", description=__doc__)
    parser.add_argument("--model", choices=["ials", "implicit"], required=True)
    parser.add_argument("--source", required=True)
    told = parser.parse_args()
    split = leave_last_out(read_source(told.source))
    seen = measure_ials(split) if told.model == "ials" else measure_implicit(split)
    seen["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seen["kernel"] = blas_kernel()
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
