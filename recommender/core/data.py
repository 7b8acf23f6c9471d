"""Columns that models learn from: ids, interactions, one user's history."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.errors import DatasetError, sentence
from recommender.core.sorting import counted, first_of_pairs, in_order

Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

MOST_WEIGHT = 1e6
MOST_VALUE = 1e9
MOST_SECONDS = 1e11  # the year 5138

KINDS = (
    "view",
    "click",
    "play",
    "complete",
    "share",
    "favourite",
    "question",
    "rating",
    "purchase",
    "search",
    "impression",
)
KIND_CODES = {kind: code for code, kind in enumerate(KINDS)}
VERIFIED = len(KINDS)  # code of learning that the server saw itself; no event that a file can tell


def _hash(raw: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")


@dataclass(frozen=True, eq=False)
class IdMap:
    """External string id <-> row, in four flat arrays that can be memory-mapped.

    No dictionary of strings: a lookup hashes the id and searches the sorted hashes, so web
    workers share the pages of one file.
    """

    blob: NDArray[np.uint8]  # all ids, UTF-8, one after the other
    offsets: NDArray[np.int64]  # [n + 1]
    hashes: NDArray[np.uint64]  # [n], sorted
    hash_rows: Int32  # [n], the row of each hash

    @classmethod
    def from_ids(cls, ids: Iterable[str]) -> IdMap:
        """Rows in the given order; a repeated id is an error."""
        raws = [i.encode("utf-8", "surrogatepass") for i in ids]
        if len(set(raws)) != len(raws):
            raise ValueError("ids repeat")
        offsets = np.zeros(len(raws) + 1, np.int64)
        np.cumsum([len(raw) for raw in raws], out=offsets[1:])
        hashes = np.fromiter((_hash(raw) for raw in raws), np.uint64, len(raws))
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        blob = np.frombuffer(b"".join(raws), np.uint8)
        return cls(blob, offsets, hashes[order], order)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def id(self, row: int) -> str:
        """The id of one row; IndexError outside [0, n)."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self._raw(row).decode("utf-8", "surrogatepass")

    def ids(self, rows: Iterable[int]) -> list[str]:
        return [self.id(int(row)) for row in rows]

    def row(self, external: str) -> int:
        """The row of an id, -1 when unknown."""
        return int(self.rows([external])[0])

    def rows(self, external: Sequence[str]) -> Int32:
        """[len(external)], -1 for each unknown id."""
        raws = [i.encode("utf-8", "surrogatepass") for i in external]
        wanted = np.fromiter((_hash(raw) for raw in raws), np.uint64, len(raws))
        first = np.searchsorted(self.hashes, wanted)
        found = np.full(len(raws), -1, np.int32)
        for n, raw in enumerate(raws):
            at = int(first[n])
            while at < len(self.hashes) and self.hashes[at] == wanted[n]:
                if self._raw(int(self.hash_rows[at])) == raw:
                    found[n] = self.hash_rows[at]
                    break
                at += 1
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "blob": self.blob,
            "offsets": self.offsets,
            "hashes": self.hashes,
            "hash_rows": self.hash_rows,
        }

    def _raw(self, row: int) -> bytes:
        return self.blob[self.offsets[row] : self.offsets[row + 1]].tobytes()


@dataclass(frozen=True)
class History:
    """One user's items, oldest first. Without `times` the order means nothing.

    Rows outside the model's catalogue (-1 for an unknown id) are allowed and ignored.
    `user` is the user's row in the training data where known; only the rating baselines, which
    learn a vector per user, look at it.
    """

    rows: Int32  # [n]
    weights: Float32  # [n], 1 is an ordinary interaction
    times: Float64 | None = None  # [n], Unix seconds
    user: int = -1
    labels: tuple[str, ...] = ()  # declared interests and the entry channel, as in UserTable
    now: float | None = None  # Unix seconds of the asking; the last event's where None
    # what models worked out on the way: scoring and explaining ask for the same things
    noted: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        rows: Sequence[int] | NDArray[np.integer[Any]],
        weights: Sequence[float] | Float32 | None = None,
        times: Sequence[float] | Float64 | None = None,
        user: int = -1,
        labels: Sequence[str] = (),
        now: float | None = None,
    ) -> History:
        """Arrays of the right types from any sequences; weights default to 1."""
        taken = np.asarray(rows, np.int32)
        weighted = (
            np.ones(len(taken), np.float32) if weights is None else np.asarray(weights, np.float32)
        )
        timed = None if times is None else np.asarray(times, np.float64)
        return cls(taken, weighted, timed, user, tuple(labels), now)

    def __len__(self) -> int:
        return len(self.rows)

    def known(self, n_items: int) -> NDArray[np.bool_]:
        """[n], which rows lie in a catalogue of n_items."""
        return (self.rows >= 0) & (self.rows < n_items)

    def restricted(self, n_items: int) -> History:
        """The same history without rows that a catalogue of n_items does not have."""
        known = self.known(n_items)
        if known.all():
            return self
        times = None if self.times is None else self.times[known]
        kept = self.rows[known], self.weights[known], times
        return History(*kept, self.user, self.labels, self.now)


def restricted(histories: Sequence[History], n_items: int) -> list[History]:
    """Each history `restricted`; one look at all of them where nothing has to go."""
    rows = np.concatenate([one.rows for one in histories]) if histories else np.zeros(0)
    if ((rows >= 0) & (rows < n_items)).all():
        return list(histories)
    return [one.restricted(n_items) for one in histories]


@dataclass(frozen=True, eq=False)
class Interactions:
    """One row per (user, item), sorted by user, then oldest first; ties in a fixed shuffle."""

    users: IdMap
    items: IdMap
    user_rows: Int32  # [n]
    item_rows: Int32  # [n]
    weights: Float32  # [n]
    values: Float32  # [n], NaN where the event had none
    times: Float64 | None  # [n], Unix seconds
    kinds: NDArray[np.uint8]  # [n], index into KINDS
    propensities: Float32 | None = None  # [n], chance that it was shown, NaN where not logged
    table: ItemTable | None = None  # what the catalogue says about the items
    people: UserTable | None = None  # what users said about themselves

    @classmethod
    def build(
        cls,
        *,
        users: IdMap,
        items: IdMap,
        user_rows: NDArray[np.integer[Any]],
        item_rows: NDArray[np.integer[Any]],
        weights: Float32 | None = None,
        values: Float32 | None = None,
        times: Float64 | None = None,
        kinds: NDArray[np.uint8] | None = None,
        propensities: Float32 | None = None,
        table: ItemTable | None = None,
        people: UserTable | None = None,
    ) -> Interactions:
        """Sort raw events and keep the first of each (user, item).

        `times` may hold NaN for single unknown times: those events count as the oldest.
        DatasetError for columns that no model could learn from.
        """
        n = len(user_rows)
        user = np.asarray(user_rows, np.int32)
        item = np.asarray(item_rows, np.int32)
        weight = np.ones(n, np.float32) if weights is None else np.asarray(weights, np.float32)
        value = np.full(n, np.nan, np.float32) if values is None else np.asarray(values, np.float32)
        kind = np.zeros(n, np.uint8) if kinds is None else np.asarray(kinds, np.uint8)
        _check_rows("user_rows", user, len(users))
        _check_rows("item_rows", item, len(items))
        for name, column in (("weights", weight), ("values", value), ("kinds", kind)):
            if len(column) != n:
                raise DatasetError(f"{name} must be as long as user_rows")
        if not (np.isfinite(weight) & (weight >= 0) & (weight <= MOST_WEIGHT)).all():
            raise DatasetError(
                sentence("weights must be numbers from 0 to %(most)s", most=f"{MOST_WEIGHT:g}")
            )
        _check_range("values", value, MOST_VALUE)
        if times is not None:
            _check_range("times", np.asarray(times), MOST_SECONDS)
        time = _filled_times(times)
        kept = first_of_pairs(user, item, time, len(items))
        order = np.concatenate(list(in_order(user, time, kept))) if n else np.zeros(0, np.int32)
        return cls(
            users=users,
            items=items,
            user_rows=user[order],
            item_rows=item[order],
            weights=weight[order],
            values=value[order],
            times=None if time is None else time[order],
            kinds=kind[order],
            propensities=None if propensities is None else propensities[order],
            table=table,
            people=people,
        )

    def __len__(self) -> int:
        return len(self.user_rows)

    @cached_property
    def indptr(self) -> NDArray[np.int64]:
        """[users + 1]: where each user's rows begin."""
        counts = counted(self.user_rows, len(self.users))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @cached_property
    def item_counts(self) -> NDArray[np.int64]:
        """[items]: interactions of each item."""
        return counted(self.item_rows, len(self.items))

    def take(self, kept: NDArray[np.bool_]) -> Interactions:
        """The rows where `kept` holds, with the same users and items."""
        shown = self.propensities
        return replace(
            self,
            user_rows=self.user_rows[kept],
            item_rows=self.item_rows[kept],
            weights=self.weights[kept],
            values=self.values[kept],
            times=None if self.times is None else self.times[kept],
            kinds=self.kinds[kept],
            propensities=None if shown is None else shown[kept],
        )

    def history(self, user_row: int) -> History:
        span = slice(self.indptr[user_row], self.indptr[user_row + 1])
        times = None if self.times is None else self.times[span]
        labels = () if self.people is None else self.people.labels[user_row]
        return History(self.item_rows[span], self.weights[span], times, user_row, labels)

    def histories(self, user_rows: Iterable[int] | None = None) -> list[History]:
        """One history per user row, all users by default."""
        chosen = range(len(self.users)) if user_rows is None else user_rows
        return [self.history(int(user)) for user in chosen]

    def data_hash(self) -> str:
        """Hex digest over everything a model could learn from."""
        digest = hashlib.blake2b(digest_size=16)
        for ids in (self.users, self.items):
            digest.update(ids.offsets.tobytes())
            digest.update(ids.blob.tobytes())
        columns = (self.user_rows, self.item_rows, self.weights, self.values, self.kinds)
        for column in columns:
            digest.update(np.ascontiguousarray(column).tobytes())
        for optional in (self.times, self.propensities):
            if optional is not None:
                digest.update(np.ascontiguousarray(optional).tobytes())
        for described in (self.table, self.people):
            for column in () if described is None else vars(described).values():
                flat = column.tolist() if isinstance(column, np.ndarray) else column
                if isinstance(flat, dict):
                    flat = [(name, block.shape, block.tobytes()) for name, block in flat.items()]
                digest.update(repr(flat).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def _check_rows(name: str, rows: Int32, n: int) -> None:
    if len(rows) and not 0 <= rows.min() <= rows.max() < n:
        raise DatasetError(f"{name} hold a row outside the ids")


def _check_range(name: str, column: NDArray[Any], most: float) -> None:
    """NaN is allowed: it stands for unknown."""
    lowest, highest = np.nanmin(column, initial=0), np.nanmax(column, initial=0)
    if not -most <= lowest <= highest <= most:
        raise DatasetError(f"{name} must be numbers within {most:g}, or NaN where unknown")


def _filled_times(times: Float64 | None) -> Float64 | None:
    if times is None or not len(times):
        return None
    taken = np.asarray(times, np.float64)
    unknown = np.isnan(taken)
    if not unknown.any():
        return taken
    if unknown.all():
        return None
    return np.where(unknown, np.min(taken[~unknown]) - 1, taken)


@dataclass(frozen=True, eq=False)
class ItemTable:
    """What the catalogue says about the items, one entry per row of an IdMap."""

    titles: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    tags: list[tuple[str, ...]] = field(default_factory=list)
    creators: list[str] = field(default_factory=list)
    published_at: Float64 | None = None  # Unix seconds, NaN where unknown
    price_fen: NDArray[np.int64] | None = None  # -1 where unknown
    texts: list[str] = field(default_factory=list)
    # further blocks [items, width] by name, made elsewhere (vectors of texts, covers, sounds)
    blocks: dict[str, Float32] = field(default_factory=dict)


@dataclass(frozen=True)
class UserTable:
    """What users told of themselves, one entry per row of an IdMap.

    A label is an interest (the name of a category, tag or creator) or `channel:<where from>`.
    """

    labels: list[tuple[str, ...]] = field(default_factory=list)
