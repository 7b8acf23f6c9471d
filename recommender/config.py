"""The recommender's settings as the frozen configs that the core takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from recommender.core.cleaning import CleaningConfig
from recommender.core.config import config_from
from recommender.core.matrix import MatrixConfig
from recommender.core.places import SparkPlace


@dataclass(frozen=True)
class DriftConfig:
    """When what happens now differs so much from what the serving model learned."""

    new_items: float = 0.25  # share of recent interactions with courses the model does not know
    new_users: float = 0.6  # share of recent learners who came after it
    click_drop: float = 0.3  # relative fall of its click rate since its first days
    days: float = 3.0  # what is recent
    least_events: int = 200  # below this nothing is judged
    least_hours: int = 6  # between two trainings


def cleaning_config() -> CleaningConfig:
    """`KPAY_CLEANING`; BadParams for a threshold that does not exist or is out of range."""
    return config_from(CleaningConfig, "KPAY_CLEANING", settings.KPAY.cleaning)


def matrix_config(params: Mapping[str, Any] | None = None) -> MatrixConfig:
    """`KPAY_MATRIX`, with what a run or an artifact says in its place."""
    told = {**settings.KPAY.matrix, **(params or {})}
    return config_from(MatrixConfig, "KPAY_MATRIX", told)


def drift_config() -> DriftConfig:
    return config_from(DriftConfig, "KPAY_DRIFT", settings.KPAY.drift)


def spark_place() -> SparkPlace:
    """Where `spark_ials` is fitted: `KPAY_SPARK_*` and `JAVA_HOME`."""
    kpay = settings.KPAY
    return SparkPlace(
        master=kpay.spark_master,
        folder=kpay.spark_dir,
        java_home=kpay.java_home,
        memory=kpay.spark_memory,
        fit_seconds=kpay.spark_seconds,
    )
