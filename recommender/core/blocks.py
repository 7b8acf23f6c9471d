"""Blocks of numbers about items that come from outside the table: any encoder's vectors.

An encoder may be as heavy as it likes and run anywhere: what it leaves is one .npz with `ids`
[n] (text) and `vectors` [n, width].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import Float32, IdMap, ItemTable
from recommender.core.errors import DatasetError, sentence

WIDTH = 128  # columns of a block; wider ones are turned onto their main axes
MOST_COLUMNS = 4096


def read_vectors(path: Path, ids: Sequence[str]) -> Float32:
    """[ids, width], rows of NaN for ids that the file does not have; DatasetError by name."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            names, vectors = file["ids"].astype(str).tolist(), file["vectors"]
        known = IdMap.from_ids(names)
        if vectors.ndim != 2 or len(vectors) != len(known):
            raise ValueError("vectors must be [ids, width]")
        if not 0 < vectors.shape[1] <= MOST_COLUMNS:
            raise ValueError(f"vectors must have 1 to {MOST_COLUMNS} columns")
        taken = np.asarray(vectors, np.float32)
    except (OSError, KeyError, ValueError, TypeError, EOFError, BadZipFile) as why:
        raise DatasetError(
            sentence("%(name)s holds no vectors by id: %(why)s", name=path.name, why=str(why))
        ) from why
    if not np.isfinite(taken).all():
        raise DatasetError(sentence("%(name)s: vectors must be finite numbers", name=path.name))
    rows = known.rows(ids)
    found = np.full((len(ids), taken.shape[1]), np.nan, np.float32)
    found[rows >= 0] = taken[rows[rows >= 0]]
    return found


def with_block(table: ItemTable, name: str, vectors: NDArray[np.floating[Any]]) -> ItemTable:
    """The table with one more block: centred, narrowed, rows of length 1, 0 where unknown.

    `vectors` [items, width] has rows of NaN for items it says nothing about. Without two known
    items there is nothing to compare, and the table comes back as it is.
    """
    known = np.isfinite(vectors).all(axis=1)
    if known.sum() < 2:
        return table
    taken = vectors[known].astype(np.float64)
    taken -= taken.mean(axis=0)  # sentence vectors share a large common part
    if taken.shape[1] > WIDTH:
        _, axes = np.linalg.eigh(taken.T @ taken)  # ascending
        taken = taken @ axes[:, : -WIDTH - 1 : -1]
    lengths = np.linalg.norm(taken, axis=1, keepdims=True)
    block = np.zeros((len(vectors), taken.shape[1]), np.float32)
    block[known] = taken / np.where(lengths > 1e-9, lengths, np.inf)
    return replace(table, blocks={**table.blocks, name: block})
