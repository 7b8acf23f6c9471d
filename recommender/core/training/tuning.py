"""Random search of parameters on validation items alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recommender.core.data import Float64, Interactions
from recommender.core.errors import BadParams, TrainingDiverged, said_of, sentence
from recommender.core.matrix import SPACE as MATRIX_SPACE
from recommender.core.metrics import mean_gain
from recommender.core.preparing import MATRIX, Preparation, earlier, without_matrix
from recommender.core.training.auto import ENOUGH_USERS, validation_split
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer

MATRIX_SHARE = 0.5  # of the draws that weigh events; the others take every pair for 1
SPACES: dict[str, dict[str, tuple[float, ...]]] = {
    "popular": {"half_life_days": (0, 3, 7, 14, 30, 60, 120, 365)},
    "recent": {"half_life_days": (1, 2, 3, 5, 7, 14, 21)},
    "item_knn": {"neighbours": (20, 50, 100, 200, 400), "regularization": (0, 5, 10, 30)},
    "ials": {
        "factors": (16, 32, 64, 96),
        "alpha": (0.5, 1, 2, 5, 10, 20, 40),
        "regularization": (0.01, 0.1, 1, 3, 10, 30),
        "half_life": (0, 5, 10, 20, 40),
    },
    "ease": {
        "regularization": (10, 30, 100, 200, 300, 500, 1000),
        "half_life": (0, 4, 6, 10, 15, 30),
    },
    "transitions": {
        "regularization": (10, 30, 100, 200, 300, 500, 1000),
        "half_life": (4, 6, 10, 15, 30),
        "step_half_life": (1, 2, 3, 4, 8),
        "step_share": (0.3, 0.4, 0.5, 0.6, 0.7),
        "window": (3, 5, 10, 20),
        "decay": (0.5, 0.7, 0.8, 0.9),
    },
    "user_knn": {
        "neighbours": (50, 100, 200, 400),
        "shrink": (0, 5, 10, 30),
        "idf_power": (0, 0.5, 1.0),
        "half_life": (0, 4, 8, 16),
    },
    "session_knn": {
        "neighbours": (100, 200, 400, 800),
        "half_life": (1, 2, 4, 8),
        "step_half_life": (1, 2, 4, 8, 16),
        "backward": (0, 0.3, 0.6, 1),
        "idf_power": (0, 0.5, 1.0),
        "length_power": (0, 0.25, 0.5),
        "half_life_days": (0, 30, 90),
    },
    "history_tower": {
        "factors": (32, 64, 96),
        "learning_rate": (0.003, 0.005, 0.01, 0.02),
        "decay": (0.6, 0.7, 0.85, 1),
        "weight_decay": (0, 0.02, 0.1),
        "dropout": (0, 0.1, 0.2, 0.4),
        "batch": (256, 512, 1024),
    },
    "neumf": {
        "factors": (16, 32, 64),
        "learning_rate": (0.002, 0.005, 0.01),
        "weight_decay": (0, 0.02, 0.1),
        "negatives": (8, 16, 32),
        "half_life": (0, 4, 8, 16),
    },
    "lightgcn": {
        "factors": (32, 64, 96),
        "layers": (1, 2),
        "learning_rate": (0.003, 0.01, 0.03),
        "weight_decay": (0, 0.05, 0.2),
        "half_life": (0, 4, 8, 16),
    },
    "sasrec": {
        "factors": (32, 64, 96),
        "blocks": (1, 2),
        "learning_rate": (0.001, 0.002, 0.004),
        "weight_decay": (0, 0.02, 0.1),
        "dropout": (0.2, 0.3, 0.5),
    },
    "two_tower": {
        "factors": (32, 64, 96),
        "learning_rate": (0.002, 0.005, 0.01),
        "weight_decay": (0, 0.02, 0.1),
        "dropout": (0, 0.2, 0.4),
        "id_dropout": (0.1, 0.3, 0.5),
    },
    "mf": {"factors": (4, 6, 8, 12), "iterations": (80, 160, 320)},
    "concat_linear": {"learning_rate": (0.003, 0.01, 0.03), "epochs": (5, 10, 20)},
}
SPACES["spark_ials"] = SPACES["ials"]


@dataclass(frozen=True)
class Search:
    """Every draw with what validation said of it, and the parameters of the best one."""

    metric: str
    trials: list[dict[str, Any]]  # params, value (None where it diverged, with `failed`)
    best: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"metric": self.metric, "trials": self.trials}


def check_tunable(name: str) -> None:
    """BadParams for a model without a search space."""
    if name not in SPACES:
        raise BadParams(
            sentence(
                "%(name)s cannot be tuned; models that can: %(known)s",
                name=name,
                known=", ".join(SPACES),
            )
        )


def searched(
    name: str,
    params: Mapping[str, Any],
    interactions: Interactions,
    trials: int,
    options: FitOptions,
    preparation: Preparation | None = None,
    until: Float64 | None = None,
) -> Search:
    """`trials` draws for whatever `params` leave open, and the best of them; seeded.

    The first trial is the defaults. Where the events behind `interactions` are at hand, half of
    the draws weigh them by a drawn interaction matrix; no event after `until` is looked at.
    BadParams for a model without a search space (`auto` chooses by itself) or when no user can
    be held out.
    """
    check_tunable(name)
    split = validation_split(interactions, options.seed)
    if len(split.held) < ENOUGH_USERS:
        raise BadParams(
            sentence("only %(n)s users can be held out: too few to tune on", n=len(split.held))
        )
    metric, k = ("ndcg", 10) if interactions.times is not None else ("recall", 20)
    rng = np.random.default_rng(options.seed)
    told = replace(options, held=split.held, on_progress=None, checkpoint_dir=None)
    preparation = preparation or Preparation()
    best, best_value = dict(params), -1.0
    told_trials: list[dict[str, Any]] = []
    for trial in range(trials):
        drawn: dict[str, Any] = {
            key: _drawn(rng, choices) for key, choices in SPACES[name].items() if trial
        }
        if trial and preparation.log is not None and rng.random() < MATRIX_SHARE:
            drawn[MATRIX] = {key: _drawn(rng, choices) for key, choices in MATRIX_SPACE.items()}
        tried = {**drawn, **params}
        train = preparation.weighed(split.train, tried, earlier(until, split.until))
        try:
            model = make_trainer(name, without_matrix(tried)).fit(train, told)
        except TrainingDiverged as why:
            value = -1.0  # a divergent draw is simply not the best one
            told_trials.append({"params": tried, "value": None, "failed": said_of(why)})
        else:
            value = mean_gain(model, train, split.held, k, metric)
            told_trials.append({"params": tried, "value": round(value, 6)})
        options.tell(trial + 1, trials, {f"{metric}@{k}": value})
        if value > best_value:
            best, best_value = tried, value
    return Search(f"{metric}@{k}", told_trials, best)


def _drawn(rng: np.random.Generator, choices: tuple[float, ...]) -> float:
    return choices[int(rng.integers(len(choices)))]
