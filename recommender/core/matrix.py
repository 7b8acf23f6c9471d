"""The interaction matrix: how much one user's events say about one item.

M[u, i] = alpha * behaviour + beta * rating, both in [0, 1]. Behaviour is the time-decayed sum of
event weights, saturated; a rating counts by how far it lies above `centre`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.cleaning import MOST_STARS, Log
from recommender.core.data import KIND_CODES, KINDS, VERIFIED, Float32, Float64, Interactions

DAY = 86_400.0
LEAST = 1e-3  # a pair that was acted on is never nothing


@dataclass(frozen=True)
class MatrixConfig:
    """Everything that turns events into weights; `--tune` searches what matters most of it.

    Event weights: 1 is an ordinary interaction. `learn` is a share of the course that the server
    saw watched, the strongest word there is.
    """

    alpha: float = 0.8
    beta: float = 0.2
    half_life_days: float = 0.0  # of an event's weight; 0: it never fades
    saturation: float = 1.0  # the sum of weights at which behaviour is a half
    centre: float = 2.5  # stars that say nothing; below it the course is disliked
    view: float = 0.4
    click: float = 0.3
    play: float = 0.7
    complete: float = 1.2
    share: float = 1.0
    favourite: float = 1.2
    question: float = 0.7
    rating: float = 1.0
    purchase: float = 1.5
    learn: float = 2.0

    def event_weights(self) -> Float32:
        """[kinds]: by the code of the kind."""
        told = asdict(self)
        return np.array([told.get(kind, 0.0) for kind in (*KINDS, "learn")], np.float32)

    def ordinary(self) -> float:
        """M of a single fresh event of weight 1: the unit of the weights that models get."""
        return max(self.alpha / (1 + self.saturation), 1e-6)


SPACE: dict[str, tuple[float, ...]] = {
    "alpha": (0.3, 0.5, 0.6, 0.8, 1.0),
    "beta": (0.0, 0.2, 0.4, 0.8),
    "half_life_days": (0.0, 30.0, 90.0, 180.0, 365.0),
    "saturation": (0.25, 0.5, 1.0, 2.0, 4.0),
    "view": (0.1, 0.4, 1.0),
    "play": (0.4, 0.7, 1.0),
    "purchase": (1.0, 1.5, 3.0),
}


def event_strengths(log: Log, config: MatrixConfig, now: float) -> Float64:
    """[n]: the decayed weight of each event; a watched share counts by what was watched."""
    strength = config.event_weights()[log.kinds].astype(np.float64)
    valued = ~np.isnan(log.values)
    share = np.clip(np.where(valued, log.values, 0), 0, 100).astype(np.float64) / 100
    play = (log.kinds == KIND_CODES["play"]) & valued
    strength[play] *= 0.4 + 0.6 * share[play]
    learned = log.kinds == VERIFIED
    strength[learned] *= np.where(valued, share, 1)[learned]
    if config.half_life_days > 0:
        age = np.maximum(now - log.times, 0) / DAY
        faded = np.exp2(-age / config.half_life_days)
        strength *= np.where(np.isnan(age), 1.0, faded)
    return strength


def behaviour_of(summed: NDArray[np.float64], config: MatrixConfig) -> Float64:
    """[pairs] in [0, 1): the sum of strengths, saturated."""
    return summed / (summed + max(config.saturation, 1e-6))


def rating_of(stars: NDArray[np.floating[Any]], config: MatrixConfig) -> Float64:
    """[pairs] in [0, 1]: distance above the centre, 0 without stars or below it."""
    span = max(MOST_STARS - config.centre, 1e-6)
    share = (np.asarray(stars, np.float64) - config.centre) / span
    return np.clip(np.nan_to_num(share, nan=0.0), 0.0, 1.0)


def weighted(
    interactions: Interactions, log: Log, config: MatrixConfig, until: Float64 | None = None
) -> Interactions:
    """`interactions` with M of each pair as its weight, in units of an ordinary interaction.

    `log` holds events by user and item row; those later than `until` [users] are not looked at.
    The newest rating of a pair counts; decay runs from the newest event looked at.
    """
    width = max(len(interactions.items), 1)
    wanted = interactions.user_rows.astype(np.int64) * width + interactions.item_rows
    order = np.argsort(wanted)
    keys = log.users * width + log.items
    places = np.searchsorted(wanted[order], keys)
    places = np.minimum(places, max(len(wanted) - 1, 0))
    used = wanted[order][places] == keys if len(wanted) else np.zeros(len(log), np.bool_)
    if until is not None:
        with np.errstate(invalid="ignore"):
            used &= ~(log.times > until[log.users])
    part, pair = log.take(used), order[places[used]] if len(wanted) else places[used]
    known = part.times[~np.isnan(part.times)]
    strengths = event_strengths(part, config, float(known.max()) if len(known) else 0.0)
    summed: Float64 = np.bincount(pair, strengths, len(wanted)).astype(np.float64)
    stars = np.full(len(wanted), np.nan)
    rated = np.flatnonzero(part.kinds == KIND_CODES["rating"])
    rated = rated[np.argsort(np.nan_to_num(part.times[rated], nan=-1.0), kind="stable")]
    stars[pair[rated]] = part.values[rated]  # the last assignment stays: the newest stars
    cells = config.alpha * behaviour_of(summed, config) + config.beta * rating_of(stars, config)
    weights = np.maximum(cells / config.ordinary(), LEAST).astype(np.float32)
    return replace(interactions, weights=weights)


def pair_weights(
    pairs: Iterable[Iterable[tuple[str, float | None, float]]], now: float, config: MatrixConfig
) -> list[float]:
    """The same in plain Python, for serving: one list of (kind, value, time) per pair."""
    by_kind = _by_kind(config)
    saturation, unit = max(config.saturation, 1e-6), config.ordinary()
    span = max(MOST_STARS - config.centre, 1e-6)
    found = []
    for events in pairs:
        summed, stars, rated_at = 0.0, config.centre, -1.0
        for kind, value, at in events:
            strength = by_kind.get(kind, 0.0)
            if value is not None:
                if kind == "play":
                    strength *= 0.4 + 0.6 * min(max(value, 0.0), 100.0) / 100
                elif kind == "learn":
                    strength *= min(max(value, 0.0), 100.0) / 100
                elif kind == "rating" and at >= rated_at:
                    stars, rated_at = value, at
            if config.half_life_days > 0:
                strength *= 2.0 ** (-max(now - at, 0.0) / DAY / config.half_life_days)
            summed += strength
        rating = min(max((stars - config.centre) / span, 0.0), 1.0)
        cell = config.alpha * summed / (summed + saturation) + config.beta * rating
        found.append(max(cell / unit, LEAST))
    return found


@lru_cache(maxsize=8)
def _by_kind(config: MatrixConfig) -> dict[str, float]:
    return dict(zip((*KINDS, "learn"), config.event_weights().tolist(), strict=True))
