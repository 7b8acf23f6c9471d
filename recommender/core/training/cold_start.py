"""Adds to a fitted model what it cannot know: items and users without any interaction."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.core.data import Float32, IdMap, Interactions
from recommender.core.models.base import Model
from recommender.core.models.cold_start import ColdStart
from recommender.core.training.content import features_of
from recommender.core.training.popular import popularity

RIDGE = 20.0  # best of 3 and 20 on MARS-EN with other hidden items than the test hides
MOST_LABELS = 256
SHARED = 50.0  # interactions of a segment at which it weighs as much as everybody
DECLARED = 5.0  # interactions that a declared interest counts for before anyone followed it
DECLARED_LIFT = 7.0  # and how much likelier it makes its items until then


def cold_started(model: Model, interactions: Interactions) -> Model:
    """`model` for cold items and labelled users too; `model` itself where there are none."""
    counts = interactions.item_counts
    warm, cold = np.flatnonzero(counts > 0), np.flatnonzero(counts == 0)
    table, features = interactions.table, None
    if table is not None and len(cold) and len(warm):
        features = features_of(table)
    names = _labels(interactions)
    if features is None and not names:
        return model
    if features is None:
        features = np.zeros((len(counts), 0), np.float32)
    stepped, step = _stepped(features - features[warm].mean(axis=0))
    return ColdStart(
        interactions.items,
        model,
        stepped,
        _inverse(stepped[warm], step),
        warm.astype(np.int32),
        cold.astype(np.int32),
        IdMap.from_ids(names),
        _segments(interactions, names).astype(np.float16),
    )


def _stepped(features: Float32) -> tuple[NDArray[np.int8], float]:
    """The features rounded to whole steps, and the step: the largest is 127.

    A row of a block has length 1, so a step is about a hundredth of it; what rounding moves in a
    likeness is far below what tells two courses apart, and a web worker keeps a quarter.
    """
    step = max(float(np.abs(features).max(initial=0)) / 127, 1e-9)
    return np.rint(features / np.float32(step)).astype(np.int8), step


def _inverse(stepped: NDArray[np.int8], step: float) -> Float32:
    """[width, width]: with F = step · stepped, (FᵀF + ridge I)⁻¹ · step²."""
    whole = stepped.astype(np.float64)
    left = whole.T @ whole + RIDGE / step**2 * np.eye(stepped.shape[1])
    return np.linalg.inv(left).astype(np.float32)


def _labels(x: Interactions) -> list[str]:
    """The labels that most people told, and the commonest names of the catalogue."""
    people = Counter(label for labels in (x.people.labels if x.people else []) for label in labels)
    named = Counter(label for labels in item_labels(x) for label in labels)
    if not people:
        return []
    first = [label for label, _ in people.most_common(MOST_LABELS)]
    more = [label for label, _ in named.most_common(MOST_LABELS) if label not in people]
    return [*first, *more][:MOST_LABELS]


def item_labels(x: Interactions) -> list[set[str]]:
    """[items]: category, tags and creator of each."""
    table, n = x.table, len(x.items)
    if table is None or not table.titles:
        return [set()] * n
    together = zip(table.categories, table.tags, table.creators, strict=True)
    return [{category, creator, *tags} - {""} for category, tags, creator in together]


def _segments(x: Interactions, names: list[str]) -> Float32:
    """[labels, items]: log of how likely someone with the label takes the item.

    The counts of those who told the label, mixed with everybody's; items that carry the label
    are lifted by as much as its holders prefer them, `DECLARED_LIFT` times until they have shown.
    """
    n, events = len(x.items), max(len(x), 1)
    everybody = np.expm1(popularity(x)) + 1 / max(n, 1)
    everybody /= max(float(everybody.sum()), 1e-9)
    carried = item_labels(x)
    taken = _taken(x, names)
    scores = np.zeros((len(names), n), np.float32)
    for row, name in enumerate(names):
        counts = taken[[row]].toarray().ravel()
        total = float(counts.sum())
        likely = (counts + SHARED * everybody) / (total + SHARED)
        inside = np.array([name in labels for labels in carried], bool)
        if inside.any():
            expected = total * float(everybody[inside].sum())
            lift = (counts[inside].sum() + DECLARED * DECLARED_LIFT) / (expected + DECLARED)
            # holders' own counts tell part of it already: only lift what they do not reach
            likely[inside] = np.maximum(likely[inside], lift * everybody[inside])
        scores[row] = np.log(likely + 1e-3 / events)
    return scores


def _taken(x: Interactions, names: list[str]) -> sparse.csr_matrix:
    """[labels, items]: summed weights of what those took who told the label."""
    place = {name: row for row, name in enumerate(names)}
    told = [
        (place[label], user)
        for user, labels in enumerate(x.people.labels if x.people else [])
        for label in set(labels)
        if label in place
    ]
    rows, users = np.array(told, np.int64).reshape(-1, 2).T
    held = sparse.csr_matrix((np.ones(len(rows)), (rows, users)), (len(names), len(x.users)))
    cells = (x.weights.astype(np.float64), (x.user_rows, x.item_rows))
    return held @ sparse.csr_matrix(cells, (len(x.users), len(x.items)))
