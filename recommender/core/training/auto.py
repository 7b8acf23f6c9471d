"""Fits candidates, lets validation choose and combine, refits the chosen on everything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64, Interactions
from recommender.core.errors import TrainingDiverged
from recommender.core.metrics import Held, mean_gain
from recommender.core.models.base import Model
from recommender.core.models.ensemble import Ensemble
from recommender.core.models.stack import Stack
from recommender.core.splits import Split, leave_last_out, random_share, without
from recommender.core.training.base import FitOptions, config_from
from recommender.core.training.blending import (
    Board,
    board,
    greedy_weights,
    sampled_users,
    standings,
)
from recommender.core.training.candidates import (
    EARLY_STOPPED,
    AutoConfig,
    Candidate,
    Overrides,
    candidates,
)
from recommender.core.training.cold_start import cold_started
from recommender.core.training.fits import Fits
from recommender.core.training.item_facts import item_facts
from recommender.core.training.registry import make_trainer
from recommender.core.training.stacking import Stacking, stack_weights

ENOUGH_USERS = 5  # below this many validation users nothing can be chosen
ENOUGH_TO_STACK = 150  # and below this many a stack learns nothing but noise
FOLDS = 4  # of the users: what is learned from some is judged on the others
LEAST_SHARE = 0.03  # a lighter member of a blend costs more than it gives
MOST_MEMBERS = 8  # of a stack without times; six did as well on MARS-EN and ML-100K
STEPS = 100  # progress units per fit
VALIDATED = (("hr", 10), ("ndcg", 10), ("recall", 20))
BLEND, STACK = "blend", "stack"


@dataclass(frozen=True)
class Fitted:
    """A model fitted on everything, and what validation said before that."""

    model: Model
    metrics: dict[str, float]  # of the choice, on validation
    chosen: dict[str, Any] = field(default_factory=dict)


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
    epochs: int | None  # that validation chose, of a network
    stood: NDArray[np.float16]  # [users, items], standardised scores


@dataclass(frozen=True)
class Choice:
    """What did best on validation users that its weights were not learned from."""

    kind: str  # the label of one candidate, BLEND or STACK
    values: dict[str, float]  # of every candidate and combination, by the metric that decides
    scores: Float32  # [rows of the board], of the choice, each user's by weights from others


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
        train = split.train
        if not self.timed:  # who is not looked at is learned from whole, as when all is fitted
            train = without(self.interactions, held)
        fits = Fits(train)  # forgotten before everything is fitted again
        trials = [t for c in tried if (t := self._try(c, fits, held)) is not None]
        if not trials:
            return self._popular("every candidate failed")
        compared = board(
            [t.stood for t in trials], train, held, item_facts(train), self.options.seed
        )
        candidates_of = [trial.candidate for trial in trials]
        epochs = [trial.epochs for trial in trials]
        trials.clear()  # the standings are large, the board holds what is needed of them
        choice = self._choice([c.label for c in candidates_of], compared)
        metrics = {f"{n}@{k}": float(compared.judged(choice.scores, k, n).mean())
                   for n, k in VALIDATED}  # fmt: skip
        told = {
            "metric": f"{self.metric}@{self.k}",
            "validation_users": len(held),
            "candidates": choice.values,
            "failed": self.failed,
        }
        again = [_with_epochs(c, e) for c, e in zip(candidates_of, epochs, strict=True)]
        return self._refit(again, choice.kind, compared, metrics, told)

    def _try(self, candidate: Candidate, fits: Fits, held: Held) -> Trial | None:
        try:
            model = self._fit(candidate, fits, replace(self.options, held=held))
        except TrainingDiverged as why:
            self.failed[candidate.label] = str(why)
            return None
        stood = standings(model, fits.interactions, held)
        epochs = model.facts().get("epochs")
        return Trial(candidate, None if epochs is None else max(1, int(epochs)), stood)

    def _fit(self, candidate: Candidate, fits: Fits, options: FitOptions) -> Model:
        before = self.done

        def tell(done: int, total: int, metrics: dict[str, float]) -> None:
            at = before + STEPS * done // max(total, 1)
            self.options.tell(min(at, self.total), self.total, {**metrics})

        folder = options.checkpoint_dir
        own = None if folder is None else folder / f"{candidate.name}-{before}"
        told = replace(options, on_progress=tell, checkpoint_dir=own)
        model = fits.fit(candidate.name, candidate.params, told)
        self.done = before + STEPS
        return model

    def _choice(self, labels: list[str], compared: Board) -> Choice:
        """A stack, a blend or a single candidate: the first that none after it clearly beats.

        Weights are learned from some users and judged on the others. The candidates alone are
        judged on everybody, and the best of so many looks better than it is: it must lead by
        more than one standard error of the difference.
        """
        scores = {label: compared.z[:, n] for n, label in enumerate(labels)}
        users = len(compared)
        if len(labels) > 1:
            fold = np.random.default_rng(self.options.seed).permutation(users) % FOLDS
            scores[BLEND] = np.zeros(len(compared.z), np.float32)
            stacking = Stacking.of(compared) if users >= ENOUGH_TO_STACK else None
            if stacking is not None:
                scores[STACK] = np.zeros(len(compared.z), np.float32)
            for one in range(FOLDS):
                others, mine = fold != one, (fold == one)[compared.owner]
                shares = self._blended(compared, others).astype(np.float32)
                scores[BLEND][mine] = compared.z[mine] @ shares
                if stacking is not None:
                    weights = stack_weights(stacking, others)
                    scores[STACK][mine] = stacking.scores(weights)[mine]
        judged = {n: compared.judged(one, self.k, self.metric) for n, one in scores.items()}
        values = {name: float(of.mean()) for name, of in judged.items()}
        kind = max(labels, key=lambda label: values[label])
        for combined in (BLEND, STACK):
            if combined in judged and not _leads(judged[kind], judged[combined]):
                kind = combined
        return Choice(kind, values, scores[kind])

    def _blended(self, compared: Board, users: NDArray[np.bool_]) -> Float64:
        """[candidates], not negative, summing to 1."""
        shares = greedy_weights(compared, users, self.k, self.metric)
        shares[shares < LEAST_SHARE] = 0
        scaled: Float64 = shares / shares.sum()
        return scaled

    def _refit(
        self,
        tried: list[Candidate],
        kind: str,
        compared: Board,
        metrics: dict[str, float],
        told: dict[str, Any],
    ) -> Fitted:
        everybody = np.ones(len(compared), bool)
        mix = None
        if kind == STACK:
            stacking = Stacking.of(compared)
            parts = stacking.parts(stack_weights(stacking, everybody))
            least = min(LEAST_SHARE, parts.max())
            if not self.timed:  # a worker keeps every member's arrays resident
                least = max(least, np.sort(parts)[-MOST_MEMBERS:][0])
            kept = np.flatnonzero(parts >= least)
            stacking = Stacking.of(compared.of_models(kept))
            mix = stacking.mix(stack_weights(stacking, everybody))
        elif kind == BLEND:
            parts = self._blended(compared, everybody)
            kept = np.flatnonzero(parts)
        else:
            kept = np.array([[c.label for c in tried].index(kind)])
            parts = np.ones(len(tried))
        self.total = self.done + len(kept) * STEPS
        fits, told_to = Fits(self.interactions), replace(self.options, held=None)
        members = tuple(self._fit(tried[n], fits, told_to) for n in kept)
        told["weights"] = {tried[n].label: float(parts[n]) for n in kept}
        told["kind"] = kind
        found, items = {"chosen": told}, self.interactions.items
        model: Model = members[0]
        if mix is not None:
            model = Stack(items, members, mix, item_facts(self.interactions), found)
        elif len(members) > 1:
            model = Ensemble(items, members, tuple(float(parts[n]) for n in kept), found)
        return Fitted(model, metrics, told)

    def _popular(self, why: str) -> Fitted:
        self.total = self.done + STEPS
        fits = Fits(self.interactions)
        model = self._fit(Candidate("popular", {}, "popular"), fits, self.options)
        return Fitted(model, {}, {"why": why, "failed": self.failed, "weights": {"popular": 1.0}})


def _leads(one: Float64, other: Float64) -> bool:
    """Whether `one` [users] is better than `other` by more than the noise of the difference."""
    apart = one - other
    noise = float(apart.std()) / math.sqrt(max(len(apart), 1))
    return float(apart.mean()) > noise


def _with_epochs(candidate: Candidate, epochs: int | None) -> Candidate:
    """The same with as many epochs as validation chose, for a network."""
    if epochs is None:
        return candidate
    return replace(candidate, params={**candidate.params, "epochs": epochs})
