"""Inverse propensity: what was shown less often counts more when it was taken all the same."""

from __future__ import annotations

import numpy as np

from recommender.core.data import Float32, Interactions

MOST = 10.0  # times the mean; without a limit a few rare items own the gradient
LEAST_PROPENSITY = 1e-4


def event_weights(interactions: Interactions, power: float) -> Float32 | None:
    """[n] with mean 1, p^-power of each event; None where the power is 0.

    p is the logged propensity where there is one, else (count / largest count)^½ of the item
    (Saito et al. 2020, "Unbiased Recommender Learning from Missing-Not-At-Random Implicit
    Feedback").
    """
    if power <= 0 or not len(interactions):
        return None
    counts = interactions.item_counts
    chance = np.sqrt(counts / max(counts.max(), 1))[interactions.item_rows]
    if interactions.propensities is not None:
        logged = interactions.propensities
        usable = np.isfinite(logged) & (logged > 0) & (logged <= 1)
        chance = np.where(usable, logged, chance)
    weights = np.maximum(chance, LEAST_PROPENSITY) ** -power
    weights = np.minimum(weights / weights.mean(), MOST)
    scaled: Float32 = (weights / weights.mean()).astype(np.float32)
    return scaled
