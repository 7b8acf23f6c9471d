"""What the catalogue says about items, as named blocks of numbers.

A block comes from an encoder; `ENCODERS` holds those that need nothing but SciPy. Blocks that
need more than the table (sentence vectors, covers, sounds) come with it, made by whoever has the
files: `core.blocks`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from recommender.core.data import Float32, ItemTable
from recommender.core.training.once import once_per_data

TITLE_TIMES = 3  # a word of the title counts as often
MOST_CHARACTERS = 20_000  # of one text
MOST_TERMS = 50_000
RUNS = re.compile(r"[^\W\d_]+|\d+")
WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff]+")
PRICE_BANDS_FEN = (0, 1, 1_000, 5_000, 10_000, 30_000, 100_000)


class Encoder(Protocol):
    """Turns the table into one block."""

    @property
    def name(self) -> str:
        """What the block is called."""

    def encode(self, table: ItemTable) -> Float32 | None:
        """[items, width], rows of length 1 or 0; None where the table says nothing."""


@dataclass(frozen=True)
class TextEncoder:
    """Title and text: TF-IDF of characters and pairs (Chinese) or words, then SVD.

    Characters need no dictionary and beat word segmentation at finding courses of one class;
    words between spaces already are segmented.
    """

    name: str = "text"
    width: int = 128

    def encode(self, table: ItemTable) -> Float32 | None:
        texts = [f"{title}\n" * TITLE_TIMES for title in table.titles]
        for n, text in enumerate(table.texts):
            texts[n] += text[:MOST_CHARACTERS]
        return reduced(tf_idf([terms(text) for text in texts]), self.width)


@dataclass(frozen=True)
class LabelEncoder:
    """Labels of one kind as TF-IDF, reduced where there are many."""

    name: str
    labels: Callable[[ItemTable], Sequence[Iterable[str]]]
    width: int = 64

    def encode(self, table: ItemTable) -> Float32 | None:
        return reduced(tf_idf([list(entry) for entry in self.labels(table)]), self.width)


def _single(values: Sequence[str]) -> list[tuple[str, ...]]:
    return [(value,) if value else () for value in values]


def _price_bands(table: ItemTable) -> list[tuple[str, ...]]:
    prices = [] if table.price_fen is None else table.price_fen.tolist()
    return [
        (str(int(np.searchsorted(PRICE_BANDS_FEN, price, side="right"))),) if price >= 0 else ()
        for price in prices
    ]


ENCODERS: tuple[Encoder, ...] = (
    TextEncoder(),
    LabelEncoder("category", lambda table: _single(table.categories)),
    LabelEncoder("tags", lambda table: table.tags),
    LabelEncoder("creator", lambda table: _single(table.creators)),
    LabelEncoder("price", _price_bands),
)


def item_blocks(
    table: ItemTable | None, encoders: Sequence[Encoder] = ENCODERS
) -> dict[str, Float32]:
    """The blocks that have something to say, by the name of their encoder; the table's own last."""
    if table is None or not table.titles:
        return {}
    blocks = {encoder.name: encoder.encode(table) for encoder in encoders}
    return {name: block for name, block in blocks.items() if block is not None} | table.blocks


def item_features(
    table: ItemTable | None, encoders: Sequence[Encoder] = ENCODERS
) -> Float32 | None:
    """[items, width]: all blocks side by side, each as heavy as the others; None without any."""
    blocks = item_blocks(table, encoders)
    return np.hstack(list(blocks.values())) if blocks else None


@once_per_data
def features_of(table: ItemTable) -> Float32 | None:
    """`item_features`, read once per table: long texts take seconds."""
    return item_features(table)


def terms(text: str) -> list[str]:
    """Words and numbers; runs of Chinese, Japanese or Korean as characters and pairs."""
    found = []
    for run in RUNS.findall(text.lower()):
        rest = 0
        for wide in WIDE.finditer(run):
            found += [run[rest : wide.start()]] if wide.start() > rest else []
            signs, rest = wide.group(), wide.end()
            found += [*signs, *(signs[n : n + 2] for n in range(len(signs) - 1))]
        found += [run[rest:]] if rest < len(run) else []
    return found


def tf_idf(documents: Sequence[Sequence[str]]) -> sparse.csr_matrix:
    """[documents, terms], (1 + log tf) · log(n / df), rows of length 1.

    Terms of a single document say nothing about any other and are left out, and so are those
    that every document has.
    """
    counts = [Counter(document) for document in documents]
    spread = Counter(term for counted in counts for term in counted)
    kept = [t for t, df in spread.most_common(MOST_TERMS) if 1 < df < max(len(counts), 3)]
    place = {term: n for n, term in enumerate(sorted(kept))}
    rows, columns, values = [], [], []
    for row, counted in enumerate(counts):
        for term, times in counted.items():
            if term in place:
                rows.append(row)
                columns.append(place[term])
                idf = np.log((1 + len(counts)) / (1 + spread[term]))
                values.append((1 + np.log(times)) * idf)
    matrix = sparse.csr_matrix((values, (rows, columns)), (len(counts), len(place)))
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.diags(1 / np.maximum(lengths, 1e-9)) @ matrix


def reduced(matrix: sparse.csr_matrix, width: int) -> Float32 | None:
    """[rows, at most width]: left singular vectors times values, rows of length 1 or 0.

    Seeded subspace iteration (Halko, Martinsson, Tropp 2011); None for an empty matrix.
    """
    width = min(width, *matrix.shape)
    if not width or not matrix.nnz:
        return None
    drawn = np.random.default_rng(0).normal(size=(matrix.shape[1], width + 16))
    basis = np.linalg.qr(matrix @ drawn)[0]
    for _ in range(4):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    left, values, _ = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    block = (basis @ left)[:, :width] * values[:width]
    lengths = np.linalg.norm(block, axis=1, keepdims=True)
    unit: Float32 = (block / np.where(lengths > 1e-6, lengths, np.inf)).astype(np.float32)
    return unit
