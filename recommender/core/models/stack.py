"""Many models and facts about items in one learned sum, its weights drawn by history length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, Float64, History, IdMap, Int32
from recommender.core.models.base import Arrays, Model, Params
from recommender.core.models.ensemble import deviation_of, mean_of
from recommender.core.models.item_facts import ItemFacts

NO_STEP = 1e-3  # a change of z below which the slope stands for it


@dataclass(frozen=True)
class Mix:
    """Weights as lines over the length of a history: at its mean log, and per deviation of it.

    A member with standardised score z adds `straight`·z + `curved`·sign(z)·log(1 + |z|): the log
    keeps a few huge scores from deciding alone, as ranks would, but each item's part depends on
    its own score and can be explained.
    """

    straight: tuple[tuple[float, ...], tuple[float, ...]]  # [2][members]
    curved: tuple[tuple[float, ...], tuple[float, ...]]  # [2][members]
    facts: tuple[tuple[float, ...], tuple[float, ...]]  # [2][columns of ItemFacts]
    lengths: tuple[float, float, float, float]  # mean, deviation, least, most of log(1 + length)

    def weights(self, history_length: int) -> tuple[Float64, Float64, Float64]:
        """Straight and curved ones of the members, and those of the facts."""
        line = np.array([1.0, float(length_basis(np.array([history_length]), self.lengths)[0])])
        straight, curved, facts = self._arrays
        return line @ straight, line @ curved, line @ facts

    @cached_property
    def _arrays(self) -> tuple[Float64, Float64, Float64]:
        """[2, members], twice, and [2, columns of the facts]."""
        return np.array(self.straight), np.array(self.curved), np.array(self.facts)


def length_basis(
    lengths: NDArray[np.integer[Any]], told: tuple[float, float, float, float]
) -> Float64:
    """[n], log lengths in deviations from their mean, none beyond what was seen in training."""
    mean, deviation, least, most = told
    found: Float64 = (np.clip(np.log1p(lengths), least, most) - mean) / deviation
    return found


def standardise(scores: Float32) -> float:
    """Turns them into z over the catalogue, zeros when all are equal; the deviation they had."""
    first = float(scores[0]) if len(scores) else 0.0
    scores -= mean_of(scores)
    deviation = deviation_of(first, scores)
    scores *= np.float32(1 / deviation if deviation else 0)
    return deviation


def curve(z: Float32, out: Float32 | None = None) -> Float32:
    """sign(z)·log(1 + |z|)."""
    bent = np.abs(z, out=out)
    bent += 1
    np.log(bent, out=bent)
    return np.copysign(bent, z, out=bent)


@dataclass(frozen=True)
class _Noted:
    """What scoring worked out and explaining asks for again."""

    z: list[Float32]  # [members][items], standardised scores
    deviations: list[float]  # [members], that they had before; 0 where all were equal
    tastes: Float32  # [items], the weighted sum of the members
    straight: Float64  # [members], the weights for this history's length
    curved: Float64


@dataclass(frozen=True, eq=False)
class Stack(Model):
    """Score = Σ members (straight·z + curved·curve(z)) + Σ facts about the item.

    Stacked generalisation (Wolpert 1992) with a listwise softmax; see `training.stacking`.
    """

    name: ClassVar[str] = "stack"

    items: IdMap
    members: tuple[Model, ...]
    mix: Mix
    facts_of_items: ItemFacts
    found: Params = field(default_factory=dict)

    def score_one(self, history: History) -> Float32:
        past = history.restricted(len(self.items))
        straight, curved, facts = self.mix.weights(len(past))
        # row by row through one scratch: a matrix of all would not stay in the cache
        tastes, scratch = np.zeros((2, len(self.items)), np.float32)
        z, deviations = [], []
        for member, line, bend in zip(self.members, straight, curved, strict=True):
            row = np.array(member.score_one(history), np.float32)
            z.append(row)
            deviations.append(standardise(row))
            if deviations[-1] > 0:
                tastes += np.multiply(row, np.float32(line), out=scratch)
                curve(row, out=scratch)
                scratch *= np.float32(bend)
                tastes += scratch
        history.noted[self] = _Noted(z, deviations, tastes, straight, curved)
        total = self.facts_of_items.score(past, facts.astype(np.float32))
        total += tastes
        if len(total):  # mean 0, so that scores of users with long and short histories compare
            total -= total.mean(dtype=np.float32)
        return total

    def tastes(self, history: History) -> Float32:
        """The members' part of the score, without the facts about the items."""
        found: Float32 = self._noted(history).tastes.copy()
        return found

    def _noted(self, history: History) -> _Noted:
        if self not in history.noted:
            self.score_one(history)
        noted: _Noted = history.noted[self]
        return noted

    def told(self, history: History) -> bool:
        return any(member.told(history) for member in self.members)

    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """Each member's part of a score that its history makes, split as the member splits it.

        A row sums to the item's score less what it would be if the members saw nothing of the
        history in it (their biases and priors, the facts), but for the user's mean. For the
        straight part that is the weighted sum of the members' contributions; the curved part is
        shared in the same proportions, so the sum is exact for both.
        """
        total = np.zeros((len(item_rows), len(history)), np.float32)
        noted = self._noted(history)
        kept = [n for n, deviation in enumerate(noted.deviations) if deviation > 0]
        if not kept:
            return total
        parts = [
            self.members[n].contributions(history, item_rows) / np.float32(noted.deviations[n])
            for n in kept
        ]
        z = np.stack([noted.z[n][item_rows] for n in kept])
        made = np.stack([part.sum(axis=1) for part in parts])
        straight, curved = noted.straight[kept, None], noted.curved[kept, None]
        for slope, part in zip(_slope(z, made, straight, curved), parts, strict=True):
            total += slope[:, None] * part
        return total

    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        """The neighbours of the member that weighs most."""
        heaviest = int(np.argmax(np.add(self.mix.straight[0], self.mix.curved[0])))
        return self.members[heaviest].similar(item_rows, k)

    def arrays(self) -> Arrays:
        own = {
            f"{n}.{name}": array
            for n, member in enumerate(self.members)
            for name, array in member.arrays().items()
        }
        return own | {f"facts.{name}": a for name, a in self.facts_of_items.arrays().items()}

    def params(self) -> Params:
        mix = {name: _listed(value) for name, value in asdict(self.mix).items()}
        members = [{"name": member.name, "params": member.params()} for member in self.members]
        return {"members": members, "mix": mix}

    def facts(self) -> Params:
        return self.found | {"members": [member.facts() for member in self.members]}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        # here, not at the top: the registry names this class
        from recommender.core.models.registry import model_class  # noqa: PLC0415

        members = tuple(
            model_class(told["name"]).from_arrays(_under(f"{n}.", arrays), told["params"], items)
            for n, told in enumerate(params["members"])
        )
        facts = ItemFacts.from_arrays(_under("facts.", arrays))
        return cls(items, members, mix_from(params["mix"]), facts)


def mix_from(told: Mapping[str, Any]) -> Mix:
    """The mix that JSON tells."""
    return Mix(**{name: _tupled(value) for name, value in told.items()})


def _slope(z: Float32, made: Float32, line: Float64, bend: Float64) -> Float32:
    """[members, asked]: change of a member's part per change of z, over what the history made."""
    before = z - made
    bent = curve(z) - curve(before)
    even = 1 / (1 + np.abs(z))  # the curve's own slope
    far = np.abs(made) > NO_STEP
    chord = np.where(far, bent / np.where(far, made, 1), even)
    slope: Float32 = (line + bend * chord).astype(np.float32)
    return slope


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _listed(value: Any) -> Any:
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(one) for one in value) if isinstance(value, list | tuple) else value
