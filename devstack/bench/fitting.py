"""One model on one data set in a process of its own: what it costs and what its lists are worth.

`python -m devstack.bench.fitting --model NAME --source SOURCE` prints one line of JSON. NAME is
one of the product's models, `auto` or `implicit-als`, `implicit-bpr`; SOURCE a dataset folder or
`USERSxITEMSxEVENTS`. With `--whole` everything is learned from and nothing is judged.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from devstack.bench import synthetic
from recommender.core.data import Interactions
from recommender.core.metrics import TOGETHER, Held, gains
from recommender.core.models.base import Model
from recommender.core.reading import read_dataset
from recommender.core.serving import top_k
from recommender.core.splits import leave_last_out
from recommender.core.threads import one_blas_thread
from recommender.core.training.auto import fit_named
from recommender.core.training.base import FitOptions

FACTORS, ITERATIONS, THREADS = 64, 15, 2
K = 10
JUDGED = 10_000  # users whose lists are judged
CHECKED = 200  # users whose lists are made one by one too
OURS: dict[str, dict[str, Any]] = {"ials": {"factors": FACTORS, "iterations": ITERATIONS}}
# 1 + alpha * weight as the product's; `implicit` takes the product of both as its confidence.
REGULARIZATION, ALPHA = 0.01, 10.0
Lists = list[np.ndarray]
Told = dict[str, Any]


def measured(model: str, source: str, *, whole: bool, deep: int) -> Told:
    """CPU seconds, seconds and peak MB of reading, fitting and listing; HR@10 and NDCG@10."""
    told: Told = {}
    x = _spent(told, "read", lambda: read(source))
    train, held = (x, Held()) if whole else _split(x)
    del x
    told["events"] = len(train)
    told["data_mb"] = peak_mb()
    lists = (_peer if model.startswith("implicit") else _own)(model, train, held, deep, told)
    if len(held):
        found = [gains(ranked, rows, K) for ranked, rows in zip(lists, held.item_rows, strict=True)]
        told |= {name: float(np.mean([one[name] for one in found])) for name in ("hr", "ndcg")}
    return told | {"kernel": blas_kernel()}


def read(source: str) -> Interactions:
    sizes = source.split("x")
    if len(sizes) == 3 and all(size.isdigit() for size in sizes):
        users, items, events = map(int, sizes)
        return synthetic.interactions(users, items, events)
    return read_dataset(source).interactions


def _split(x: Interactions) -> tuple[Interactions, Held]:
    split = leave_last_out(x)
    held = split.held
    return split.train, Held(held.user_rows[:JUDGED], held.item_rows[:JUDGED])


def _own(name: str, train: Interactions, held: Held, deep: int, told: Told) -> Lists:
    params = OURS.get(name, {})
    model = _spent(told, "fit", lambda: fit_named(name, params, train, FitOptions()).model)
    if deep:
        same = _spent(told, "score", lambda: _list_all(model, train, deep))
        told["same"] = all(_same(model, train, user, rows, deep) for user, rows in same.items())
    with one_blas_thread():
        past = train.histories(held.user_rows)
        return [rows for rows, _ in model.best(past, K, [one.rows for one in past])]


def _list_all(model: Model, train: Interactions, k: int) -> dict[int, np.ndarray]:
    """The best k of everybody; of some users the rows, to look at again."""
    every = max(1, len(train.users) // CHECKED)
    kept: dict[int, np.ndarray] = {}
    with one_blas_thread():
        for start in range(0, len(train.users), TOGETHER):
            past = train.histories(range(start, min(start + TOGETHER, len(train.users))))
            found = model.best(past, k, [one.rows for one in past])
            kept |= {one.user: rows for one, (rows, _) in zip(past, found, strict=True)
                     if one.user % every == 0}  # fmt: skip
    return kept


def _same(model: Model, train: Interactions, user: int, rows: np.ndarray, k: int) -> bool:
    past = train.history(user)
    return bool(np.array_equal(top_k(model.score_one(past), k, past.rows), rows))


def _peer(name: str, train: Interactions, held: Held, deep: int, told: Told) -> Lists:
    from implicit.als import AlternatingLeastSquares  # noqa: PLC0415
    from implicit.bpr import BayesianPersonalizedRanking  # noqa: PLC0415
    from scipy.sparse import csr_matrix  # noqa: PLC0415

    shape = (len(train.users), len(train.items))
    seen = csr_matrix((train.weights, (train.user_rows, train.item_rows)), shape=shape)
    with one_blas_thread():  # as its authors ask: it has threads of its own
        if name == "implicit-als":
            peer = AlternatingLeastSquares(
                factors=FACTORS, iterations=ITERATIONS, regularization=REGULARIZATION,
                alpha=ALPHA, num_threads=THREADS, random_state=0, calculate_training_loss=False,
            )  # fmt: skip
        else:
            peer = BayesianPersonalizedRanking(factors=FACTORS, num_threads=THREADS, random_state=0)
        _spent(told, "fit", lambda: peer.fit(seen, show_progress=False))
        if deep:
            everybody = np.arange(shape[0])
            _spent(told, "score", lambda: peer.recommend(everybody, seen, N=deep))
        users = np.asarray(held.user_rows, np.int64)
        return list(peer.recommend(users, seen[users], N=K)[0]) if len(users) else []


def _spent(told: Told, what: str, work: Callable[[], Any]) -> Any:
    """What `work` gives; what it cost and the most that was held meanwhile goes to `told`."""
    forget_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    told[f"{what}_cpu"] = time.process_time() - cpu
    told[f"{what}_wall"] = time.perf_counter() - wall
    told[f"{what}_mb"] = peak_mb()
    told[f"{what}_held_mb"] = held_mb()
    return found


def peak_mb() -> float:
    """The most that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """From here on `held_mb` tells of what comes."""
    Path("/proc/self/clear_refs").write_text("5")


def held_mb() -> float:
    """The most that this process has held since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def blas_kernel() -> str:
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # noqa: PLC0415

    kernels = {f"{one['internal_api']} {one.get('architecture')}" for one in threadpool_info()}
    return ", ".join(sorted(kernels))


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.bench.fitting", description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--deep", type=int, default=0, help="time lists of this length for all")
    told = parser.parse_args()
    print(json.dumps(measured(told.model, told.source, whole=told.whole, deep=told.deep)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
