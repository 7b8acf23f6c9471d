"""What a training may be asked for, told without its trainers: no SciPy, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recommender.core.config import AutoConfig, config_from
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
from recommender.core.preparing import matrix_of, without_matrix

# In the order in which `training.registry` has its trainers.
CONFIGS: dict[str, type[Any]] = {
    "popular": PopularConfig,
    "recent": PopularConfig,
    "concat_linear": ConcatLinearConfig,
    "mf": MFConfig,
    "item_knn": ItemKNNConfig,
    "user_knn": UserKNNConfig,
    "session_knn": SessionKNNConfig,
    "ials": IALSConfig,
    "ease": EaseConfig,
    "transitions": TransitionsConfig,
    "history_tower": TowerConfig,
    "neumf": NeuMFConfig,
    "lightgcn": LightGCNConfig,
    "sasrec": SASRecConfig,
    "two_tower": TwoTowerConfig,
    "spark_ials": IALSConfig,
}


def check_order(name: str, params: Mapping[str, Any]) -> None:
    """UnknownModel or BadParams where a training by this name and these parameters would end so.

    What only the data can tell is left to the training.
    """
    matrix_of(params)
    own = without_matrix(params)
    if name != "auto":
        _known(name)
        config_from(CONFIGS[name], name, own)
        return
    tried = config_from(AutoConfig, name, own).candidates
    for candidate in () if tried == ("auto",) else tried:
        _known(candidate)


def _known(name: str) -> None:
    if name not in CONFIGS:
        known = ", ".join(["auto", *CONFIGS])
        raise UnknownModel(
            sentence("no model named '%(name)s'; known: %(known)s", name=name, known=known)
        )
