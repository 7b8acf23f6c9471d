"""Fitted models by name, for loading artifacts."""

from __future__ import annotations

from recommender.core.errors import UnknownModel, sentence
from recommender.core.models.base import Model
from recommender.core.models.cold_start import ColdStart
from recommender.core.models.ensemble import Ensemble
from recommender.core.models.ials import IALS
from recommender.core.models.item_knn import ItemKNN
from recommender.core.models.lightgcn import LightGCN
from recommender.core.models.neighbours import Ease, Transitions
from recommender.core.models.neumf import NeuMF
from recommender.core.models.popular import Popular, Recent
from recommender.core.models.ratings import MF, ConcatLinear
from recommender.core.models.sasrec import SASRec
from recommender.core.models.stack import Stack
from recommender.core.models.tower import HistoryTower
from recommender.core.models.two_tower import TwoTower
from recommender.core.models.user_neighbours import SessionKNN, UserKNN

MODELS: dict[str, type[Model]] = {
    m.name: m
    for m in (
        Popular,
        Recent,
        ConcatLinear,
        MF,
        ItemKNN,
        UserKNN,
        SessionKNN,
        IALS,
        Ease,
        Transitions,
        HistoryTower,
        NeuMF,
        LightGCN,
        SASRec,
        TwoTower,
        Ensemble,
        Stack,
        ColdStart,
    )
}


def model_class(name: str) -> type[Model]:
    """The class that can load artifacts of this name; UnknownModel otherwise."""
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownModel(
            sentence(
                "no model named '%(name)s'; known: %(known)s", name=name, known=", ".join(MODELS)
            )
        ) from None
