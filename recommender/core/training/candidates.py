"""What `auto` tries: names, their variants, and what the work allowed leaves of the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recommender.core.config import AutoConfig as AutoConfig
from recommender.core.data import Interactions
from recommender.core.models.tower import TowerConfig
from recommender.core.training.content import features_of

SMALL_CATALOGUE = 4000  # items up to which a closed form takes seconds
LEAST_EPOCHS = 3  # fewer leave a network no chance
EARLY_STOPPED = {"history_tower", "neumf", "lightgcn", "sasrec", "two_tower"}
# `session_knn` adds nothing to the others' stack on three data sets, and costs a feed the most.
TIMED = ("popular", "ials", "ease", "transitions", "history_tower")
UNTIMED = ("popular", "ials", "user_knn", "item_knn", "ease", "history_tower")
Overrides = Mapping[str, Mapping[str, Any]]
Variants = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Candidate:
    name: str
    params: Mapping[str, Any]
    label: str = ""  # tells variants of one name apart


def candidates(
    config: AutoConfig, interactions: Interactions, overrides: Overrides
) -> tuple[list[Candidate], dict[str, str]]:
    """What `auto` tries, cheapest first, and what it leaves out with the reason.

    Variants of one model differ in parameters. Networks share `config.work`: each gets the
    epochs that fit, so the same data gives the same choice on a fast machine and on a slow one.
    """
    timed, n = interactions.times is not None, len(interactions.items)
    names = config.candidates
    if names == ("auto",):
        names = TIMED if timed else UNTIMED
    found, left_out, left = [], {}, config.work
    for name in names:
        variants: Variants
        if name in overrides:
            variants = [overrides[name]]
        elif name in EARLY_STOPPED:
            each = epoch_work(interactions, config.factors)
            epochs = min(config.epochs, int(left / each)) if each else config.epochs
            if epochs < min(LEAST_EPOCHS, config.epochs):
                left_out[name] = f"an epoch takes {each:.0f} of the {left:.0f} units of work left"
                continue
            left -= epochs * each
            variants = [{"epochs": epochs, "factors": config.factors, "patience": 2}]
        else:
            small = n <= SMALL_CATALOGUE
            told = not timed and small and _described(interactions)
            variants = _variants(name, config, timed=timed, small=small, told=told)
        found += [
            Candidate(name, params, name if not at else f"{name} {at + 1}")
            for at, params in enumerate(variants)
        ]
    return found, left_out


def epoch_work(interactions: Interactions, factors: int) -> float:
    """10⁹ multiplications of one pass of a softmax network: forwards once, backwards twice."""
    n, tower = len(interactions.items), TowerConfig()
    compared = n if n <= tower.full_softmax_items else tower.negatives
    return 3 * 2 * len(interactions) * compared * factors / 1e9


def _described(interactions: Interactions) -> bool:
    """Whether the catalogue tells the items apart."""
    return interactions.table is not None and features_of(interactions.table) is not None


def _variants(name: str, config: AutoConfig, *, timed: bool, small: bool, told: bool) -> Variants:
    """Parameters to try, the defaults first.

    Sparse data want less regularization, above all of rare items; a short memory and a long one
    tell a stack different things. Where a user took little, texts tell most.
    """
    if name == "ials":
        sizes: dict[str, float] = {"factors": config.factors}
        if timed:
            return [sizes, sizes | {"half_life": 0.0}]
        some = [
            sizes | {"alpha": 10.0, "item_power": 0.5},
            sizes,
            sizes | {"item_power": 0.5},  # where most users took little
        ]
        return [*some, some[0] | {"factors": 2 * config.factors}]  # for many narrow tastes
    if name == "ease":
        ridges = (300.0, 30.0) if small else (300.0,)
        if not timed:
            plain = [{"regularization": r} for r in ((*ridges, 1000.0) if small else ridges)]
            return [*plain, EVEN, *(TOLD if told else ())]
        return [{"regularization": r, "half_life": h} for r in ridges for h in (10.0, 3.0)]
    if name == "transitions":
        blends = [{"regularization": r} for r in ((300.0, 30.0) if small else (300.0,))]
        return [*blends, SHORT_STEPS, LONG_STEPS] if timed else blends
    if name == "item_knn":
        return [{"neighbours": 200}, {"neighbours": 200, "regularization": 10.0}]
    return [{}]


EVEN = {"regularization": 300.0, "user_power": 0.5, "item_power": 0.5}
TOLD = (
    EVEN | {"content": 1.0},
    {"regularization": 100.0, "user_power": 0.5, "item_power": 0.25, "content": 3.0},
)
SHORT_STEPS = {"step_share": 1.0, "window": 3, "step_half_life": 1.0}
LONG_STEPS = {"step_share": 1.0, "window": 20, "decay": 0.9, "step_half_life": 6.0}
