"""Trainers by name, each with the config that its parameters fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recommender.core.errors import UnknownModel
from recommender.core.models.ials import IALSConfig
from recommender.core.models.neighbours import EaseConfig, TransitionsConfig
from recommender.core.models.popular import PopularConfig
from recommender.core.models.ratings import ConcatLinearConfig, MFConfig
from recommender.core.models.tower import TowerConfig
from recommender.core.training.base import Trainer, config_from
from recommender.core.training.ials import IALSTrainer
from recommender.core.training.neighbours import EaseTrainer, TransitionsTrainer
from recommender.core.training.popular import RECENT_DAYS, PopularTrainer, RecentTrainer
from recommender.core.training.ratings import ConcatLinearTrainer, MFTrainer
from recommender.core.training.tower import TowerTrainer

Maker = Callable[[Mapping[str, Any]], Trainer]

TRAINERS: dict[str, Maker] = {
    "popular": lambda p: PopularTrainer(config_from(PopularConfig, "popular", p)),
    "recent": lambda p: RecentTrainer(
        config_from(PopularConfig, "recent", {"half_life_days": RECENT_DAYS, **p})
    ),
    "concat_linear": lambda p: ConcatLinearTrainer(
        config_from(ConcatLinearConfig, "concat_linear", p)
    ),
    "mf": lambda p: MFTrainer(config_from(MFConfig, "mf", p)),
    "ials": lambda p: IALSTrainer(config_from(IALSConfig, "ials", p)),
    "ease": lambda p: EaseTrainer(config_from(EaseConfig, "ease", p)),
    "history_tower": lambda p: TowerTrainer(config_from(TowerConfig, "history_tower", p)),
    "transitions": lambda p: TransitionsTrainer(config_from(TransitionsConfig, "transitions", p)),
}


def make_trainer(name: str, params: Mapping[str, Any] | None = None) -> Trainer:
    """The trainer of this name with these parameters; UnknownModel or BadParams otherwise."""
    if name not in TRAINERS:
        raise UnknownModel(f"no model named {name!r}; known: {', '.join(TRAINERS)}")
    return TRAINERS[name](params or {})
