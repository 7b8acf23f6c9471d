"""The recommender's tables, by subject."""

from recommender.models.batches import BatchScore, BatchShard
from recommender.models.feeds import FeedRequest, FeedRule, TagDeletion
from recommender.models.training import (
    ModelVersion,
    ServingPointer,
    ShadowComparison,
    TrainingRun,
)

__all__ = [
    "BatchScore",
    "BatchShard",
    "FeedRequest",
    "FeedRule",
    "ModelVersion",
    "ServingPointer",
    "ShadowComparison",
    "TagDeletion",
    "TrainingRun",
]
