"""The order of offers. What a user may have is incentives' word; this only sorts it."""

from __future__ import annotations

import math

from accounts.models import User
from incentives.selectors import Offer, entitled_offers
from recommender.serving.state import LearnerState, read_state

VALUE_FULL_FEN = 10_000  # 100 yuan and more are worth the same to the order
URGENCY, VALUE, EFFORT, FITTING = 0.3, 0.4, 0.2, 0.5


def ranked_offers(user: User) -> list[Offer]:
    """All offers the user is entitled to, best first; in a fixed order when switched off.

    Rules, the same for everybody: sooner ending, worth more, less effort; personal is only
    whether a coupon fits a course that the user has looked at and not bought.
    """
    offers = sorted(entitled_offers(user), key=lambda offer: (offer.kind, offer.id))
    if not user.personalised_offers:
        return offers
    state = read_state(user.pk)
    return sorted(offers, key=lambda offer: -_merit(offer, state))


def _merit(offer: Offer, state: LearnerState) -> float:
    features = offer.features
    value = math.log1p(max(features.get("value_fen", 0.0), 0.0)) / math.log1p(VALUE_FULL_FEN)
    looked_at = state.touched - state.owned
    fits = any(f"course:{course}" in offer.scopes for course in looked_at)
    return (
        URGENCY * features.get("urgency", 0.0)
        + VALUE * min(value, 1.0)
        - EFFORT * features.get("effort", 0.0)
        + FITTING * fits
    )
