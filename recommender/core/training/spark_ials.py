"""The same `ials` where the data outgrow one machine: fitted by Spark, served like any other.

Source: `pyspark.ml.recommendation.ALS` with implicit preferences, which is Hu, Koren, Volinsky
2008 with the ridge of Zhou et al. 2008 (each row's own, times its number of events). Two things
differ from `training.ials`, and what is done about them:

Confidence. Both take 1 + alpha * weight; Spark takes a weight of 0 for "not preferred", `ials`
for a preference nobody is sure of. The smallest positive number means the latter to Spark.

Ridge. `ials` adds `regularization` to every row, Spark `regParam` times the row's events. Only
the product of both sides' ridges matters, as x·y stays when x is doubled and y halved. So with n
events, U users and I items that have any, regParam = regularization * sqrt(U * I) / n: the same
model where all rows are equally long, less ridge for short rows and more for long ones else.
The item factors then come out on another scale, and are brought back to the one on which the
model's own `regularization` folds users in: times (U / I) ** .25.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from recommender.core.data import Float32, Interactions
from recommender.core.errors import TrainingDiverged, sentence
from recommender.core.models.base import Model, Params
from recommender.core.models.ials import IALS, IALSConfig
from recommender.core.training.base import FitOptions
from recommender.core.training.popular import popularity
from recommender.core.training.spark_driver import STAGES, check, job_folder, run_job

PART_ROWS = 1_000_000  # events a file
BLOCK_EVENTS = 1_000_000  # events a block of Spark's; told by the data alone, as the seed is
MOST_BLOCKS = 256


@dataclass(frozen=True, eq=False)
class SparkIALS(IALS):
    """An `ials` in all it does and as an artifact; it knows how it can be made again."""

    found: Params = field(default_factory=dict)

    def facts(self) -> Params:
        return self.found


@dataclass(frozen=True)
class SparkIALSTrainer:
    """`cg_steps` is not used: Spark solves each row exactly."""

    name: ClassVar[str] = "spark_ials"
    config: IALSConfig = field(default_factory=IALSConfig)

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """SparkUnavailable, SparkFailed where Spark gives no factors, TrainingStopped on demand.

        Without any event there is nothing to fit, and Spark is not asked.
        """
        c, items = self.config, len(interactions.items)
        factors, told = np.zeros((items, c.factors), np.float32), {"trainer": self.name}
        if len(interactions):
            factors, told = self._fitted(interactions, options)
        if not np.isfinite(factors).all():
            raise TrainingDiverged(
                sentence("%(model)s: factors are not finite", model="spark_ials")
            )
        ridge = np.float32(c.regularization) * np.eye(c.factors, dtype=np.float32)
        gram = factors.T @ factors + ridge
        parts = c, interactions.items, factors, gram, popularity(interactions)
        return SparkIALS(*parts, found=told)

    def _fitted(self, x: Interactions, options: FitOptions) -> tuple[Float32, Params]:
        c, place, ridge = self.config, options.spark, reg_param(self.config.regularization, x)
        java = check(place)
        blocks = min(max(2, -(-len(x) // BLOCK_EVENTS)), MOST_BLOCKS)
        job = {
            "blocks": blocks,
            "als": {
                "rank": c.factors,
                "maxIter": c.iterations,
                "alpha": c.alpha,
                "regParam": ridge,
                "seed": options.seed,
            },
        }
        with job_folder(place, options.checkpoint_dir) as folder:
            write_events(folder / "events", x)
            options.tell(1, STAGES)
            told = run_job(folder, job, place, java, options)
            options.tell(2, STAGES)
            factors = read_factors(folder / "item_factors", len(x.items), c.factors)
        options.tell(STAGES, STAGES)
        factors *= np.float32((users_with_events(x) / items_with_events(x)) ** 0.25)
        own: dict[str, Any] = {"trainer": self.name, "master": place.master, "blocks": blocks}
        return factors, {**own, "reg_param": ridge, **told}


def users_with_events(x: Interactions) -> int:
    return int(np.count_nonzero(np.diff(x.indptr)))


def items_with_events(x: Interactions) -> int:
    return int(np.count_nonzero(x.item_counts))


def reg_param(regularization: float, x: Interactions) -> float:
    """Spark's ridge per event that stands for `ials`' ridge per row."""
    return regularization * float(np.sqrt(users_with_events(x) * items_with_events(x))) / len(x)


def write_events(folder: Path, x: Interactions, part_rows: int = PART_ROWS) -> None:
    """Parquet files of (user row, item row, weight); columns as they are, no row is touched."""
    import pyarrow as pa  # noqa: PLC0415  (only who trains on Spark has it)
    from pyarrow import parquet  # noqa: PLC0415

    folder.mkdir()
    least = np.finfo(np.float32).tiny
    for part, begin in enumerate(range(0, len(x), part_rows)):
        rows = slice(begin, begin + part_rows)
        columns = {
            "user": x.user_rows[rows],
            "item": x.item_rows[rows],
            "weight": np.maximum(x.weights[rows], least),
        }
        parquet.write_table(pa.table(columns), folder / f"part-{part:05}.parquet")


def read_factors(folder: Path, items: int, factors: int) -> Float32:
    """[items, factors] from Spark's files of (row, vector); zeros for rows they do not have."""
    from pyarrow import parquet  # noqa: PLC0415

    read = parquet.read_table(folder, columns=["id", "features"])
    found = np.zeros((items, factors), np.float32)
    vectors = read["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    found[read["id"].to_numpy()] = vectors.reshape(len(read), factors)
    return found
