"""What lists are worth: per user, per segment, with intervals; and what they do to a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64, Int32, Interactions, ItemTable
from recommender.core.metrics import discounts, gains
from recommender.core.splits import Split

RECALL_AT = 20
RESAMPLES = 1000
LEVEL = 0.95
DAY = 86_400.0
ACTIVITY = ((1, "1-4"), (5, "5-19"), (20, "20-99"), (100, "100+"))  # training events of a user
AGES = ((0.0, "0-30d"), (30.0, "31-180d"), (180.0, "181d+"))  # days since first seen
COLD = "cold"  # without any event in training
Table = list[dict[str, Any]]


def per_user(lists: Sequence[Int32], split: Split, k: int) -> dict[str, Float64]:
    """[held users] each: hr, ndcg and mrr at k, recall at 20."""
    found: dict[str, list[float]] = {
        f"hr@{k}": [], f"ndcg@{k}": [], f"mrr@{k}": [], f"recall@{RECALL_AT}": [],
    }  # fmt: skip
    for ranked, relevant in zip(lists, split.held.item_rows, strict=True):
        gain = gains(ranked, relevant, k)
        for name in ("hr", "ndcg", "mrr"):
            found[f"{name}@{k}"].append(gain[name])
        found[f"recall@{RECALL_AT}"].append(gains(ranked, relevant, RECALL_AT)["recall"])
    return {name: np.array(values, np.float64) for name, values in found.items()}


def list_metrics(
    lists: Sequence[Int32], split: Split, k: int, table: ItemTable | None = None
) -> dict[str, float]:
    """Means over the held-out users, and what the lists do to the catalogue as a whole.

    `diversity@k` only where the items have a category, tags or a creator.
    """
    found: dict[str, Any] = {
        name: values.mean() if len(values) else 0.0
        for name, values in per_user(lists, split, k).items()
    }
    shown = np.concatenate([ranked[:k] for ranked in lists]) if lists else np.zeros(0, np.int32)
    exposure = np.bincount(shown, minlength=len(split.train.items))
    found[f"coverage@{k}"] = np.mean(exposure > 0)
    found[f"gini@{k}"] = gini(exposure)
    found[f"novelty@{k}"] = np.mean(surprise(split.train)[shown]) if len(shown) else 0.0
    apart = diversity([ranked[:k] for ranked in lists], item_features(table))
    if apart is not None:
        found[f"diversity@{k}"] = apart
    return {name: round(float(value), 6) for name, value in found.items()}


def gini(exposure: NDArray[np.int64]) -> float:
    """0 when every item is shown equally often, towards 1 when one item has all."""
    n, total = len(exposure), int(exposure.sum())
    if not total:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(2 * np.sum(ranks * np.sort(exposure)) / (n * total) - (n + 1) / n)


def surprise(train: Interactions) -> NDArray[np.float64]:
    """[items], -log2 of the share of users who know the item; as for one user where none does."""
    users = max(1, int(np.count_nonzero(np.diff(train.indptr))))
    return -np.log2(np.maximum(train.item_counts, 1) / users)


def item_features(table: ItemTable | None) -> list[frozenset[str]]:
    """Per item its category, tags and creator as marks; empty sets where nothing is told."""
    if table is None:
        return []
    described = zip(table.categories, table.tags, table.creators, strict=True)
    return [
        frozenset(
            [f"c:{category}"] * bool(category)
            + [f"t:{tag}" for tag in tags]
            + [f"w:{creator}"] * bool(creator)
        )
        for category, tags, creator in described
    ]


def diversity(lists: Sequence[Int32], features: Sequence[frozenset[str]]) -> float | None:
    """Mean over lists of 1 - cosine of two of their items, over items with features.

    None where fewer than two items of any list have some. The sum over pairs is taken from the
    length of the summed unit vectors: |sum|^2 = items + 2 * sum of cosines.
    """
    found = []
    for ranked in lists:
        marked = [features[row] for row in ranked if row < len(features) and features[row]]
        m = len(marked)
        if m < 2:
            continue
        summed: dict[str, float] = {}
        for marks in marked:
            unit = len(marks) ** -0.5
            for mark in marks:
                summed[mark] = summed.get(mark, 0.0) + unit
        squared = sum(value * value for value in summed.values())
        found.append(1 - (squared - m) / (m * (m - 1)))
    return float(np.mean(found)) if found else None


def intervals(
    values: dict[str, Float64], seed: int, resamples: int = RESAMPLES
) -> dict[str, list[float]]:
    """95 % intervals of each mean: users drawn again with replacement, seeded (Efron 1979)."""
    names = list(values)
    table = np.stack([values[name] for name in names], axis=1) if names else np.zeros((0, 0))
    n = len(table)
    if not n:
        return {}
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, len(names)))
    for draw in range(resamples):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        means[draw] = times @ table / n
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {
        name: [round(float(low[at]), 6), round(float(high[at]), 6)] for at, name in enumerate(names)
    }


def segments(
    lists: Sequence[Int32], split: Split, k: int, table: ItemTable | None = None
) -> dict[str, Table]:
    """The same lists by how active the user was in training, and by the age of what was held out.

    An item's age runs from its publication, else from its first training event, to the newest
    training event; items without any training event stand apart.
    """
    values = per_user(lists, split, k)
    counts = np.diff(split.train.indptr)[np.asarray(split.held.user_rows, np.int64)]
    bounds = np.array([least for least, _ in ACTIVITY])
    group = np.searchsorted(bounds, counts, side="right") - 1
    activity: Table = []
    for at, (_, name) in enumerate(ACTIVITY):
        mine = group == at
        if mine.any():
            row: dict[str, Any] = {"segment": name, "users": int(mine.sum())}
            for metric in (f"hr@{k}", f"ndcg@{k}"):
                row[metric] = round(float(values[metric][mine].mean()), 6)
            activity.append(row)
    return {"user_activity": activity, "item_age": _by_age(lists, split, k, table)}


def _by_age(lists: Sequence[Int32], split: Split, k: int, table: ItemTable | None) -> Table:
    """One row per age: held-out pairs, the share of them in the top k, their mean discount."""
    names = item_ages(split.train, table)
    found: dict[str, list[float]] = {}
    discount = discounts(k)
    for ranked, relevant in zip(lists, split.held.item_rows, strict=True):
        places = {int(row): place for place, row in enumerate(ranked[:k])}
        for row in relevant:
            place = places.get(int(row))
            gain = 0.0 if place is None else float(discount[place])
            found.setdefault(names[row], []).append(gain)
    order = [COLD, *(name for _, name in AGES), "known"]
    return [
        {
            "segment": name,
            "pairs": len(found[name]),
            f"recall@{k}": round(float(np.mean(np.array(found[name]) > 0)), 6),
            f"ndcg@{k}": round(float(np.mean(found[name])), 6),
        }
        for name in order
        if name in found
    ]


def item_ages(train: Interactions, table: ItemTable | None) -> list[str]:
    """The age segment of each item."""
    cold = train.item_counts == 0
    if train.times is None or not len(train):
        return [COLD if none else "known" for none in cold]
    first = np.full(len(train.items), np.inf)
    np.minimum.at(first, train.item_rows, train.times)
    if table is not None and table.published_at is not None and len(table.published_at):
        told = table.published_at
        first = np.where(np.isnan(told), first, told)
    days = np.maximum(train.times.max() - first, 0) / DAY
    bounds = np.array([least for least, _ in AGES])
    group = np.maximum(np.searchsorted(bounds, days, side="left") - 1, 0)
    return [COLD if none else AGES[at][1] for none, at in zip(cold, group, strict=True)]


def rating_errors(predicted: Float32, stars: Float32) -> dict[str, float]:
    """Root mean square and mean absolute error."""
    error = predicted.astype(np.float64) - stars
    return {
        "rmse": round(float(np.sqrt(np.mean(error**2))), 6),
        "mae": round(float(np.mean(np.abs(error))), 6),
    }
