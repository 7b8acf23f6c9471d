"""The recommender's pages for operators, by subject."""

from recommender.admin import batches, feeds, training, versions

__all__ = ["batches", "feeds", "training", "versions"]
