"""The hot path: what a web worker does for a feed. NumPy alone, no torch, no SciPy."""

from recommender.serving.messages import Recommended, recommend_for_user

__all__ = ["Recommended", "recommend_for_user"]
