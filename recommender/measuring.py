"""What a model is worth on held-out events, and whether it is fit to serve."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from recommender.core.data import Interactions
from recommender.core.metrics import gains
from recommender.core.models.base import Model
from recommender.core.serving import top_k
from recommender.core.splits import Split, leave_last_out, random_share

MOST_USERS = 5000
TIMED_USERS = 50
REPEATS = 3
DEEP = 20

Metrics = dict[str, float]


def held_out(interactions: Interactions, seed: int) -> Split:
    """Each user's last event (at least 3 events), or a seeded fifth of them without times."""
    if interactions.times is None:
        return random_share(interactions, seed)
    return leave_last_out(interactions)


def quality_name(interactions: Interactions) -> str:
    """The metric that decides: order means something only where events carry times."""
    return "recall@20" if interactions.times is None else "ndcg@10"


def judged_users(split: Split, seed: int) -> list[int]:
    """Places in `split.held` that are judged: all of them, or a seeded sample of MOST_USERS."""
    if len(split.held) <= MOST_USERS:
        return list(range(len(split.held)))
    chosen = np.random.default_rng(seed).permutation(len(split.held))[:MOST_USERS]
    return sorted(int(n) for n in chosen)


def measure(
    model: Model,
    split: Split,
    places: Sequence[int],
    alive: Callable[[int, int], None],
    sources: Mapping[int, str] | None = None,
) -> Metrics:
    """Full ranking over unseen items: hr@10, ndcg@10, mrr@10, recall@20, coverage@10.

    Also `finite` (1 when every score was), `spread` (mean deviation of a user's scores) and
    `distinct@10` (different top-10 sets per user). `alive(done, total)` is called on the way.

    `sources` names the imported data set by user row; each gets `hr@10[name]`, `ndcg@10[name]`
    and `users[name]`, since a figure over all users would mix, say, real ratings with sample
    learners whose taste was written to be clear.
    """
    found: dict[str, list[float]] = {name: [] for name in ("hr", "ndcg", "mrr", "recall")}
    shown: set[int] = set()
    sets: set[tuple[int, ...]] = set()
    by_source: dict[str, list[int]] = {}  # positions in `places`
    finite, spread = 1.0, []
    for n, place in enumerate(places):
        if n % 50 == 0:
            alive(n, len(places))
        history = split.train.history(split.held.user_rows[place])
        relevant = split.held.item_rows[place]
        scores = model.score_one(history)
        finite = min(finite, float(np.isfinite(scores).all()))
        spread.append(float(np.std(scores)))
        ranked = top_k(scores, DEEP, history.rows)
        top = gains(ranked, relevant, 10)
        for name in ("hr", "ndcg", "mrr"):
            found[name].append(top[name])
        found["recall"].append(gains(ranked, relevant, DEEP)["recall"])
        source = (sources or {}).get(split.held.user_rows[place])
        if source is not None:
            by_source.setdefault(source, []).append(n)
        shown.update(ranked[:10].tolist())
        sets.add(tuple(sorted(ranked[:10].tolist())))
    users = max(len(places), 1)
    told: Metrics = {}
    for name, own in sorted(by_source.items()):
        told[f"hr@10[{name}]"] = _mean([found["hr"][n] for n in own])
        told[f"ndcg@10[{name}]"] = _mean([found["ndcg"][n] for n in own])
        told[f"users[{name}]"] = float(len(own))
    return told | {
        "hr@10": _mean(found["hr"]),
        "ndcg@10": _mean(found["ndcg"]),
        "mrr@10": _mean(found["mrr"]),
        "recall@20": _mean(found["recall"]),
        "coverage@10": round(len(shown) / max(len(split.train.items), 1), 5),
        "distinct@10": round(len(sets) / users, 5),
        "finite": finite,
        "spread": _mean(spread),
        "users": float(len(places)),
    }


def _mean(values: Sequence[float]) -> float:
    mean = float(np.mean(values)) if len(values) else 0.0
    return round(mean, 5) if np.isfinite(mean) else 0.0


def serving_facts(model: Model, interactions: Interactions) -> Metrics:
    """`finite`, `spread` and `p95_ms` of single scores, measured on the model as loaded."""
    took: list[float] = []
    finite, spread = 1.0, []
    users = np.linspace(0, max(len(interactions.users) - 1, 0), TIMED_USERS).astype(int)
    for user in users if len(interactions.users) else []:
        best = float("inf")
        for _ in range(REPEATS):  # a busy machine must not reject a model: its fastest time counts
            history = interactions.history(int(user))
            begun = time.perf_counter()
            scores = model.score_one(history)
            best = min(best, (time.perf_counter() - begun) * 1000)
        took.append(best)
        finite = min(finite, float(np.isfinite(scores).all()))
        spread.append(float(np.std(scores)))
    return {
        "finite": finite,
        "spread": _mean(spread),
        "p95_ms": round(float(np.percentile(took, 95)), 3) if took else 0.0,
    }


def as_plain(value: Any) -> Any:
    """JSON-able: NumPy numbers become Python's, what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(k): as_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
