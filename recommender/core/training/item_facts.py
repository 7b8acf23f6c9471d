"""Counts what `ItemFacts` tells, so that no moment knows of later events."""

from __future__ import annotations

import numpy as np

from recommender.core.data import Float64, Interactions
from recommender.core.models.item_facts import ItemFacts
from recommender.core.training.popular import popularity

MOMENTS = 48  # as many events between each two
HALF_LIVES = (1.0, 6.0)  # moments


def item_facts(interactions: Interactions) -> ItemFacts:
    """Popularity over all events; what depends on a moment from the events before it."""
    x, n = interactions, len(interactions.items)
    popular = _standard(popularity(x).astype(np.float64)).astype(np.float32)
    if x.times is None or not len(x):
        nothing = np.zeros(0)
        return ItemFacts(popular, nothing, nothing, np.zeros((0, 0, n), np.float16))
    moments = np.unique(np.quantile(x.times, np.linspace(0, 1, MOMENTS + 1)))
    bucket = np.searchsorted(moments, x.times, side="left")  # counts from this moment on
    lately = np.zeros((len(HALF_LIVES), len(moments), n), np.float16)
    for row, half_life in enumerate(HALF_LIVES):
        counted = np.zeros(n)
        for at in range(len(moments)):
            new = bucket == at
            counted = counted * 2 ** (-1 / half_life)
            counted += np.bincount(x.item_rows[new], x.weights[new], n)
            lately[row, at] = _standard(np.log1p(counted))
    return ItemFacts(popular, _first(x), moments, lately)


def _first(x: Interactions) -> Float64:
    """[items], when each was first taken; the median of them where nobody has."""
    first = np.full(len(x.items), np.inf)
    np.minimum.at(first, x.item_rows, x.times if x.times is not None else 0)
    known = np.isfinite(first)
    return np.where(known, first, np.median(first[known]))


def _standard(values: Float64) -> Float64:
    deviation = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / deviation if deviation > 0 else np.zeros(len(values))
