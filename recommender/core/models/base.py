"""What every served model can do. NumPy alone: web workers load this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, History, IdMap, Int32
from recommender.core.serving import Listed, Rows, top_k, top_many

Arrays = dict[str, NDArray[Any]]
Params = dict[str, Any]
CELLS = 1_000_000  # scores held at once: 4 MB
PART = 256  # rows that are widened at once


class Model(ABC):
    """A fitted model. Everything it holds is read-only and may be a view of a mapped file.

    Implementations subclass this and give `name`, `items`, `score_one`, `contributions`,
    `similar`, `arrays`, `params` and `from_arrays`; the rest follows.
    """

    name: ClassVar[str]
    items: IdMap  # the catalogue that rows refer to

    @abstractmethod
    def score_one(self, history: History) -> Float32:
        """[items], higher is better; seen items are scored too, filters come later."""

    @abstractmethod
    def contributions(self, history: History, item_rows: Int32) -> Float32:
        """[item_rows, history]: what each past item adds to the score of each given item."""

    @abstractmethod
    def similar(self, item_rows: Int32, k: int) -> tuple[Int32, Float32]:
        """Rows and scores [item_rows, k], best first, never the item itself; row -1 is padding."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """All fitted numbers by name, without the items."""

    @abstractmethod
    def params(self) -> Params:
        """The configuration, as JSON can hold it."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], params: Params, items: IdMap) -> Self:
        """The model that `arrays` and `params` describe, copying nothing large."""

    def score(self, histories: Sequence[History]) -> Float32:
        """[users, items], each row what `score_one` gives."""
        scores = np.empty((len(histories), len(self.items)), np.float32)
        for n, history in enumerate(histories):
            scores[n] = self.score_one(history)
            history.noted.clear()  # of thousands of users they would fill the memory
        return scores

    def tastes(self, history: History) -> Float32:
        """[items], the part of the scores that a like item would get as well."""
        return self.score_one(history)

    def told(self, history: History) -> bool:
        """Whether the labels of `history` alone rank anything here."""
        return False

    def best(
        self,
        histories: Sequence[History],
        k: int,
        hidden: Sequence[Rows],
        order: NDArray[np.int64] | None = None,
    ) -> list[Listed]:
        """For each history its best k rows but those of `hidden`, and their scores.

        Exactly what `score_one` and `top_k` give one by one; models that can work on many at
        once override this. Equal scores stand by the lower row, or as `order` [items] has them.
        """
        found: list[Listed] = []
        together = max(1, CELLS // max(len(self.items), 1))
        for start in range(0, len(histories), together):
            span = slice(start, start + together)
            found += top_many(self.score(histories[span]), k, hidden[span], order)
        return found

    def facts(self) -> Params:
        """What training found out and a manifest should tell."""
        return {}

    def save(self, folder: str | Path) -> Path:
        """Write the artifact into `folder` (see `core.artifacts`)."""
        # here, not at the top: artifacts knows every model by name
        from recommender.core.artifacts import save_artifact  # noqa: PLC0415

        return save_artifact(self, folder)


class RatingModel(Protocol):
    """A model that predicts ratings for known users; -1 stands for an unknown user or item."""

    def rate(self, user_rows: Int32, item_rows: Int32) -> Float32:
        """[pairs], on the scale of the ratings it learned from."""


def over_history(history: History, n_items: int, known_part: Float32, n_asked: int) -> Float32:
    """Spread [asked, known rows] back over all rows of a history, zeros for unknown items."""
    spread = np.zeros((n_asked, len(history)), np.float32)
    spread[:, history.known(n_items)] = known_part
    return spread


def nearest(vectors: NDArray[Any], item_rows: Int32, k: int) -> tuple[Int32, Float32]:
    """The k nearest rows of `vectors` by cosine for each of `item_rows`, itself left out."""
    lengths = np.concatenate([np.linalg.norm(part, axis=1) for part in wide_parts(vectors)])
    lengths += np.float32(1e-12)
    found = np.full((len(item_rows), k), -1, np.int32)
    scores = np.zeros((len(item_rows), k), np.float32)
    for n, row in enumerate(item_rows):
        one = vectors[row].astype(np.float32)
        cosine = np.concatenate([part @ one for part in wide_parts(vectors)])
        cosine /= lengths * lengths[row]
        best = top_k(cosine, k, np.array([row]))
        found[n, : len(best)] = best
        scores[n, : len(best)] = cosine[best]
    return found, scores


def wide_parts(vectors: NDArray[Any]) -> Iterator[Float32]:
    """The rows in order as float32: at once if they are, else some at a time.

    A web worker keeps narrow types resident and never widens all of them.
    """
    together = len(vectors) if vectors.dtype == np.float32 else PART
    for start in range(0, max(len(vectors), 1), max(together, 1)):
        yield vectors[start : start + together].astype(np.float32, copy=False)
