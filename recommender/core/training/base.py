"""What every trainer can do, and what it is told beside the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from recommender.core.data import Interactions
from recommender.core.errors import BadParams, TrainingStopped
from recommender.core.metrics import Held
from recommender.core.models.base import Model

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")
MOST = 1e7
OnProgress = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class FitOptions:
    """Everything a fit depends on besides data and configuration."""

    seed: int = 0
    device: str = "cpu"
    now: float | None = None  # Unix seconds for decay; the newest event where None
    held: Held | None = None  # validation for early stopping, not part of the interactions
    on_progress: OnProgress | None = None
    should_stop: Callable[[], bool] | None = None
    checkpoint_dir: Path | None = None  # neural trainers resume from here

    def tell(self, done: int, total: int, metrics: dict[str, float] | None = None) -> None:
        """Report progress; TrainingStopped when the caller wants an end."""
        if self.on_progress is not None:
            self.on_progress(done, total, metrics or {})
        if self.should_stop is not None and self.should_stop():
            raise TrainingStopped("training was stopped by its caller")


class Trainer(Protocol):
    """Fits one kind of model. Does not change its inputs; same seed, same model."""

    name: ClassVar[str]

    def fit(self, interactions: Interactions, options: FitOptions) -> Model:
        """A fitted model; TrainingDiverged when numbers stop being finite."""


def config_from(kind: type[C], name: str, params: Mapping[str, Any]) -> C:
    """A config dataclass from JSON-like params; BadParams for anything unknown or out of range.

    Numbers must have the type of the default and not be negative; whole numbers are at least 1
    unless their default is 0.
    """
    known = {f.name: f.default for f in fields(kind)}
    taken: dict[str, Any] = {}
    for key, value in params.items():
        if key not in known:
            raise BadParams(f"{name} has no parameter {key!r}; known: {', '.join(known)}")
        taken[key] = _checked(name, key, known[key], value)
    return kind(**taken)


def _checked(name: str, key: str, default: object, value: object) -> object:
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not value:
            raise BadParams(f"{name}: {key} must be a list")
        return tuple(_checked(name, key, default[0], entry) for entry in value)
    if isinstance(default, bool | str):
        if type(value) is not type(default):
            raise BadParams(f"{name}: {key} must be a {type(default).__name__}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadParams(f"{name}: {key} must be a number")
    if not 0 <= value <= MOST:  # also refuses NaN
        raise BadParams(f"{name}: {key} must lie between 0 and {MOST:g}")
    if isinstance(default, int):
        if value != int(value):
            raise BadParams(f"{name}: {key} must be a whole number")
        if value < 1 <= default:
            raise BadParams(f"{name}: {key} must be at least 1")
        return int(value)
    return float(value)
