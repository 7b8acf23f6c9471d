"""Fits candidates, lets validation choose and blend, refits the chosen on everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recommender.core.data import Interactions
from recommender.core.errors import TrainingDiverged
from recommender.core.metrics import Held, mean_gain
from recommender.core.models.base import Model
from recommender.core.models.ensemble import Ensemble
from recommender.core.models.tower import TowerConfig
from recommender.core.splits import Split, leave_last_out, random_share
from recommender.core.training.base import FitOptions, config_from
from recommender.core.training.blending import (
    Board,
    board,
    greedy_weights,
    sampled_users,
    softmax_weights,
)
from recommender.core.training.cold_start import cold_started
from recommender.core.training.registry import make_trainer

ENOUGH_USERS = 5  # below this many validation users nothing can be chosen
LEAST_SHARE = 0.03  # a lighter member costs more than it gives
SMALL_CATALOGUE = 4000  # items up to which a closed form takes seconds
LEAST_EPOCHS = 3  # fewer leave a network no chance
STEPS = 100  # progress units per fit
EARLY_STOPPED = {"history_tower", "neumf", "lightgcn", "sasrec", "two_tower"}
TIMED = ("popular", "ials", "session_knn", "transitions", "history_tower")
UNTIMED = ("popular", "ials", "user_knn", "ease", "history_tower")
Overrides = Mapping[str, Mapping[str, Any]]
VALIDATED = (("hr", 10), ("ndcg", 10), ("recall", 20))


@dataclass(frozen=True)
class AutoConfig:
    candidates: tuple[str, ...] = ("auto",)  # "auto": what suits data with or without times
    epochs: int = 20  # at most, of a neural candidate
    factors: int = 64
    validation_users: int = 2000
    work: float = 12_000.0  # 10⁹ multiplications for all networks; bounds epochs, not a clock


@dataclass(frozen=True)
class Candidate:
    name: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Fitted:
    """A model fitted on everything, and what validation said before that."""

    model: Model
    metrics: dict[str, float]  # of the choice, on validation
    chosen: dict[str, Any] = field(default_factory=dict)


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
        variants: Sequence[Mapping[str, Any]]
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
            variants = _variants(name, config, timed=timed, small=n <= SMALL_CATALOGUE)
        found += [Candidate(name, params) for params in variants]
    return found, left_out


def epoch_work(interactions: Interactions, factors: int) -> float:
    """10⁹ multiplications of one pass of a softmax network: forwards once, backwards twice."""
    n, tower = len(interactions.items), TowerConfig()
    compared = n if n <= tower.full_softmax_items else tower.negatives
    return 3 * 2 * len(interactions) * compared * factors / 1e9


def _variants(
    name: str, config: AutoConfig, *, timed: bool, small: bool
) -> Sequence[Mapping[str, Any]]:
    """Parameters to try; sparse data want less regularization, data without times less alpha."""
    if name == "ials":
        sizes = {"factors": config.factors}
        if timed:
            return [sizes]
        return [sizes | {"alpha": a, "regularization": r} for a, r in ((10, 30), (3, 30), (1, 10))]
    if name in {"ease", "transitions"}:
        return [{"regularization": r} for r in ((30.0, 300.0) if small else (300.0,))]
    return [{}]


def fit_auto(
    interactions: Interactions,
    config: AutoConfig | None = None,
    options: FitOptions | None = None,
    overrides: Overrides | None = None,
) -> Fitted:
    """Choose on each user's last event (or a random fifth of them without times), then refit.

    `overrides` gives parameters for candidates by name in place of the built-in variants.

    Items without interactions are ranked by their content and users without history by what
    they told, where the data describe them (`core.models.cold_start`).

    `popular` answers when too few users can be held out. `options.held` is not used. A candidate
    whose numbers diverge is left out and named in `chosen["failed"]`.
    """
    config = config or AutoConfig()
    tried, left_out = candidates(config, interactions, overrides or {})
    fitted = _Auto(interactions, config, options or FitOptions(), left_out).fit(tried)
    return replace(fitted, model=cold_started(fitted.model, interactions))


def fit_named(
    name: str, params: Mapping[str, Any], interactions: Interactions, options: FitOptions
) -> Fitted:
    """`auto`, or one model; a neural one learns its number of epochs on validation first."""
    if name == "auto":
        return fit_auto(interactions, config_from(AutoConfig, name, params), options)
    trainer = make_trainer(name, params)
    if name not in EARLY_STOPPED:
        return Fitted(trainer.fit(interactions, options), {}, {})
    split = validation_split(interactions, options.seed)
    if len(split.held) < ENOUGH_USERS:
        return Fitted(trainer.fit(interactions, options), {}, {})
    folder = options.checkpoint_dir
    choosing = None if folder is None else folder / "epochs"  # a killed choice goes on as well
    first = trainer.fit(split.train, replace(options, held=split.held, checkpoint_dir=choosing))
    epochs = max(1, int(first.facts()["epochs"]))
    again = make_trainer(name, {**params, "epochs": epochs})
    metrics = {f"{n}@{k}": mean_gain(first, split.train, split.held, k, n) for n, k in VALIDATED}
    return Fitted(again.fit(interactions, options), metrics, {"epochs": epochs})


def validation_split(interactions: Interactions, seed: int) -> Split:
    """Each user's last event, or a seeded random fifth of them without times."""
    if interactions.times is not None:
        return leave_last_out(interactions, min_events=2)
    return random_share(interactions, seed, min_events=2)


@dataclass(frozen=True)
class Trial:
    """A candidate fitted without the validation events."""

    candidate: Candidate
    model: Model
    value: float  # the metric that decides


class _Auto:
    def __init__(
        self,
        interactions: Interactions,
        config: AutoConfig,
        options: FitOptions,
        left_out: dict[str, str],
    ):
        self.interactions, self.config, self.options = interactions, config, options
        self.timed = interactions.times is not None
        self.metric, self.k = ("ndcg", 10) if self.timed else ("recall", 20)
        self.failed = left_out
        self.done = 0

    def fit(self, tried: list[Candidate]) -> Fitted:
        self.total = 2 * len(tried) * STEPS
        split = validation_split(self.interactions, self.options.seed)
        if len(split.held) < ENOUGH_USERS:
            return self._popular(f"only {len(split.held)} users can be held out")
        held = sampled_users(
            split.held,
            len(self.interactions.items),
            self.config.validation_users,
            self.options.seed,
        )
        trials = [t for c in tried if (t := self._try(c, split.train, held)) is not None]
        trials = _best_of_each(trials)
        if not trials:
            return self._popular("every candidate failed")
        scored = board([t.model for t in trials], split.train, held)
        weights = self._weights(scored)
        told = {
            "metric": f"{self.metric}@{self.k}",
            "validation_users": len(held),
            "candidates": {t.candidate.name: t.value for t in trials},
            "failed": self.failed,
        }
        metrics = {f"{n}@{k}": scored.mean(weights, k, n) for n, k in VALIDATED}
        return self._refit(trials, weights, metrics, told)

    def _try(self, candidate: Candidate, train: Interactions, held: Held) -> Trial | None:
        try:
            model = self._fit(candidate, train, replace(self.options, held=held))
        except TrainingDiverged as why:
            self.failed[candidate.name] = str(why)
            return None
        return Trial(candidate, model, mean_gain(model, train, held, self.k, self.metric))

    def _fit(self, candidate: Candidate, train: Interactions, options: FitOptions) -> Model:
        before = self.done

        def tell(done: int, total: int, metrics: dict[str, float]) -> None:
            at = before + STEPS * done // max(total, 1)
            self.options.tell(min(at, self.total), self.total, {**metrics})

        folder = options.checkpoint_dir
        own = None if folder is None else folder / f"{candidate.name}-{before}"
        told = replace(options, on_progress=tell, checkpoint_dir=own)
        model = make_trainer(candidate.name, candidate.params).fit(train, told)
        self.done = before + STEPS
        return model

    def _weights(self, scored: Board) -> list[float]:
        """The best by validation among each single model and two learned blends."""
        count = len(scored.scores)
        options = [[float(n == only) for n in range(count)] for only in range(count)]
        if count > 1:
            for blend in (
                softmax_weights(scored),
                greedy_weights(scored, self.k, self.metric),
            ):
                kept = [w if w >= LEAST_SHARE else 0.0 for w in blend]
                options.append([w / sum(kept) for w in kept])
        return max(options, key=lambda weights: scored.mean(weights, self.k, self.metric))

    def _refit(
        self,
        trials: list[Trial],
        weights: list[float],
        metrics: dict[str, float],
        told: dict[str, Any],
    ) -> Fitted:
        members, kept = [], [(t, w) for t, w in zip(trials, weights, strict=True) if w > 0]
        self.total = self.done + len(kept) * STEPS
        for trial, _ in kept:
            params = dict(trial.candidate.params)
            if "epochs" in trial.model.facts():
                params["epochs"] = max(1, int(trial.model.facts()["epochs"]))
            again = Candidate(trial.candidate.name, params)
            members.append(self._fit(again, self.interactions, replace(self.options, held=None)))
        told["weights"] = {t.candidate.name: w for t, w in kept}
        if len(members) == 1:
            return Fitted(members[0], metrics, told)
        found = {"chosen": told}
        blend = Ensemble(self.interactions.items, tuple(members), tuple(w for _, w in kept), found)
        return Fitted(blend, metrics, told)

    def _popular(self, why: str) -> Fitted:
        self.total = self.done + STEPS
        model = self._fit(Candidate("popular", {}), self.interactions, self.options)
        return Fitted(model, {}, {"why": why, "failed": self.failed, "weights": {"popular": 1.0}})


def _best_of_each(trials: list[Trial]) -> list[Trial]:
    """One trial per model name, the variant that validation likes best."""
    best: dict[str, Trial] = {}
    for trial in trials:
        rival = best.get(trial.candidate.name)
        if rival is None or trial.value > rival.value:
            best[trial.candidate.name] = trial
    return list(best.values())
