"""Trainers by name, each with the config that its parameters fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from recommender.core.errors import UnknownModel, sentence
from recommender.core.models.ials import IALSConfig
from recommender.core.models.item_knn import ItemKNNConfig
from recommender.core.models.lightgcn import LightGCNConfig
from recommender.core.models.neighbours import EaseConfig, TransitionsConfig
from recommender.core.models.neumf import NeuMFConfig
from recommender.core.models.popular import PopularConfig
from recommender.core.models.ratings import ConcatLinearConfig, MFConfig
from recommender.core.models.sasrec import SASRecConfig
from recommender.core.models.tower import TowerConfig
from recommender.core.models.two_tower import TwoTowerConfig
from recommender.core.models.user_neighbours import SessionKNNConfig, UserKNNConfig
from recommender.core.training.base import Trainer, config_from
from recommender.core.training.ials import IALSTrainer
from recommender.core.training.item_knn import ItemKNNTrainer
from recommender.core.training.mf import MFTrainer
from recommender.core.training.neighbours import EaseTrainer, TransitionsTrainer
from recommender.core.training.popular import RECENT_DAYS, PopularTrainer, RecentTrainer
from recommender.core.training.spark_ials import SparkIALSTrainer
from recommender.core.training.user_neighbours import SessionKNNTrainer, UserKNNTrainer

Params = Mapping[str, Any]


def _recent(params: Params) -> Trainer:
    told = {"half_life_days": RECENT_DAYS, **params}
    return RecentTrainer(config_from(PopularConfig, "recent", told))


def _neural(name: str, config: type[Any], module: str, trainer: str) -> Callable[[Params], Trainer]:
    """Torch loads in seconds and 200 MB: only when one of its models is asked for."""

    def made(params: Params) -> Trainer:
        checked = config_from(config, name, params)
        found: Trainer = getattr(import_module(f"{__package__}.{module}"), trainer)(checked)
        return found

    return made


TRAINERS: dict[str, Callable[[Params], Trainer]] = {
    "popular": lambda p: PopularTrainer(config_from(PopularConfig, "popular", p)),
    "recent": _recent,
    "concat_linear": _neural(
        "concat_linear", ConcatLinearConfig, "concat_linear", "ConcatLinearTrainer"
    ),
    "mf": lambda p: MFTrainer(config_from(MFConfig, "mf", p)),
    "item_knn": lambda p: ItemKNNTrainer(config_from(ItemKNNConfig, "item_knn", p)),
    "user_knn": lambda p: UserKNNTrainer(config_from(UserKNNConfig, "user_knn", p)),
    "session_knn": lambda p: SessionKNNTrainer(config_from(SessionKNNConfig, "session_knn", p)),
    "ials": lambda p: IALSTrainer(config_from(IALSConfig, "ials", p)),
    "ease": lambda p: EaseTrainer(config_from(EaseConfig, "ease", p)),
    "transitions": lambda p: TransitionsTrainer(config_from(TransitionsConfig, "transitions", p)),
    "history_tower": _neural("history_tower", TowerConfig, "tower", "TowerTrainer"),
    "neumf": _neural("neumf", NeuMFConfig, "neumf", "NeuMFTrainer"),
    "lightgcn": _neural("lightgcn", LightGCNConfig, "lightgcn", "LightGCNTrainer"),
    "sasrec": _neural("sasrec", SASRecConfig, "sasrec", "SASRecTrainer"),
    "two_tower": _neural("two_tower", TwoTowerConfig, "two_tower", "TwoTowerTrainer"),
}
# Known by name, no part of `all`: they need software or machines that a shop may not have.
ELSEWHERE: dict[str, Callable[[Params], Trainer]] = {
    "spark_ials": lambda p: SparkIALSTrainer(config_from(IALSConfig, "spark_ials", p)),
}


def make_trainer(name: str, params: Params | None = None) -> Trainer:
    """The trainer of this name with these parameters; UnknownModel or BadParams otherwise."""
    known = TRAINERS | ELSEWHERE
    if name not in known:
        raise UnknownModel(
            sentence(
                "no model named '%(name)s'; known: %(known)s",
                name=name,
                known=", ".join(["auto", *known]),
            )
        )
    return known[name](params or {})
