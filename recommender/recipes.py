"""How a model was made, so that it can be made again: names, parameters, weights.

Imports the trainers (torch): training workers and commands only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from recommender.core.data import Interactions
from recommender.core.models.base import Model
from recommender.core.models.cold_start import ColdStart
from recommender.core.models.ensemble import Ensemble
from recommender.core.models.stack import Stack, mix_from
from recommender.core.models.two_tower import TwoTower
from recommender.core.training.auto import fit_named
from recommender.core.training.base import FitOptions
from recommender.core.training.cold_start import cold_started
from recommender.core.training.fits import Fits
from recommender.core.training.item_facts import item_facts

# {"members": [{"name", "params", "weight"}], "mix"?: of a stack, "cold_start"?: true}
Recipe = dict[str, Any]
Stage = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    model: Model
    recipe: Recipe
    chosen: dict[str, Any]


def make(
    name: str, params: Mapping[str, Any], interactions: Interactions, options: FitOptions
) -> Made:
    """Fit the named model; `auto` chooses and blends on validation events of its own.

    Whatever the model, courses without takers and learners without history are ranked by what
    is known of them. UnknownModel, BadParams or TrainingDiverged where that cannot be.
    """
    fitted = fit_named(name, params, interactions, options)
    model = fitted.model
    if not isinstance(model, ColdStart | TwoTower):  # those know content and labels themselves
        model = cold_started(model, interactions)
    return Made(model, recipe_of(model), fitted.chosen)


def recipe_of(model: Model) -> Recipe:
    """The recipe that `make_again` follows; epochs are those that validation chose."""
    if isinstance(model, ColdStart):
        return {**recipe_of(model.base), "cold_start": True}
    if isinstance(model, Ensemble):
        pairs = zip(model.members, model.weights, strict=True)
        return {"members": [_member(member, weight) for member, weight in pairs]}
    if isinstance(model, Stack):
        members = [_member(member, 1.0) for member in model.members]
        return {"members": members, "mix": model.params()["mix"]}
    return {"members": [_member(model, 1.0)]}


def _member(model: Model, weight: float) -> dict[str, Any]:
    params = dict(model.params())
    if "epochs" in params and "epochs" in model.facts():
        params["epochs"] = max(1, int(model.facts()["epochs"]))
    trainer = str(model.facts().get("trainer", model.name))  # an `ials` may come from a cluster
    return {"name": trainer, "params": params, "weight": weight}


def make_again(recipe: Recipe, interactions: Interactions, options: FitOptions) -> Model:
    """The recipe on other data, nothing chosen anew."""
    members = recipe["members"]
    fits, fitted = Fits(interactions), []
    for n, member in enumerate(members):
        told = replace(options, on_progress=_part(options, n, len(members)))
        fitted.append(fits.fit(member["name"], member["params"], told))
    made = fitted[0]
    if "mix" in recipe:
        mix, facts = mix_from(recipe["mix"]), item_facts(interactions)
        made = Stack(interactions.items, tuple(fitted), mix, facts, {"recipe": recipe})
    elif len(fitted) > 1:
        weights = tuple(float(member["weight"]) for member in members)
        made = Ensemble(interactions.items, tuple(fitted), weights, {"recipe": recipe})
    return cold_started(made, interactions) if recipe.get("cold_start") else made


def _part(options: FitOptions, n: int, count: int) -> Any:
    """Progress of the n-th of `count` fits as progress of the whole, in thousandths."""
    if options.on_progress is None:
        return None
    tell = options.on_progress

    def told(done: int, total: int, metrics: dict[str, float]) -> None:
        tell(int(1000 * (n + done / max(total, 1)) / count), 1000, metrics)

    return told
