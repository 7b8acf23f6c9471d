"""What every trainer can do, and what it is told beside the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from recommender.core.config import config_from as config_from
from recommender.core.data import Interactions
from recommender.core.errors import TrainingStopped, sentence
from recommender.core.metrics import Held
from recommender.core.models.base import Model
from recommender.core.places import SparkPlace

OnProgress = Callable[[int, int, dict[str, float]], None]
Curves = Mapping[str, Sequence[float]]  # a figure of each epoch, from the first on
OnCurves = Callable[[str, bool, Curves], None]


@dataclass(frozen=True)
class FitOptions:
    """Everything a fit depends on besides data and configuration."""

    seed: int = 0
    device: str = "cpu"
    now: float | None = None  # Unix seconds for decay; the newest event where None
    held: Held | None = None  # validation for early stopping, not part of the interactions
    on_progress: OnProgress | None = None
    on_curves: OnCurves | None = None
    should_stop: Callable[[], bool] | None = None
    checkpoint_dir: Path | None = None  # neural trainers resume from here
    spark: SparkPlace = SparkPlace()  # where trainers for a cluster find it

    def tell(self, done: int, total: int, metrics: dict[str, float] | None = None) -> None:
        """Report progress; TrainingStopped when the caller wants an end."""
        if self.on_progress is not None:
            self.on_progress(done, total, metrics or {})
        if self.should_stop is not None and self.should_stop():
            raise TrainingStopped(sentence("training was stopped by its caller"))

    def draw(self, name: str, curves: Curves) -> None:
        """Report all epochs of one fit so far, those before a resumption too.

        The listener is told whether validation watches, which tells a model's choosing fit from
        its second one.
        """
        if self.on_curves is not None:
            self.on_curves(name, self.held is not None, curves)


class Trainer(Protocol):
    """Fits one kind of model. Does not change its inputs; same seed, same model."""

    name: ClassVar[str]

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """A fitted model; TrainingDiverged when numbers stop being finite."""
