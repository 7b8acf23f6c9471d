"""Feeds, similar courses, interest tags and offers over HTTP."""

from recommender.api.courses import SimilarCoursesView
from recommender.api.feed import FeedbackView, FeedView
from recommender.api.learner import OffersView, TagsView, TagView

__all__ = ["FeedView", "FeedbackView", "OffersView", "SimilarCoursesView", "TagView", "TagsView"]
