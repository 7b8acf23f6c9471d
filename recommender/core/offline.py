"""What the commands `evaluate` and `recommend` do, without argparse and without Django."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recommender.core.cleaning import CleaningConfig, CleaningReport
from recommender.core.data import Float32, Int32
from recommender.core.errors import BadParams, DatasetError, NotARatingModel
from recommender.core.evaluation import Subject, evaluated
from recommender.core.metrics import TOGETHER
from recommender.core.models.ratings import MF, ConcatLinear
from recommender.core.preparing import MATRIX, Preparation, matrix_of, without_matrix
from recommender.core.reading import Dataset, read_dataset
from recommender.core.threads import one_blas_thread
from recommender.core.training.auto import fit_named
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import TRAINERS, make_trainer
from recommender.core.training.tuning import SPACES, tuned
from recommender.core.transfer import as_json, transfer

RATING_MODEL = "mf"


def parsed_params(text: str) -> dict[str, Any]:
    """Model parameters from JSON; BadParams unless it is an object."""
    try:
        params = json.loads(text or "{}")
    except (ValueError, RecursionError) as why:
        raise BadParams(f"--params is not JSON: {why}") from why
    if not isinstance(params, dict):
        raise BadParams("--params must be a JSON object")
    return params


def checked_name(name: str, params: Mapping[str, Any], *, several: bool) -> list[str]:
    """The models that a name stands for; UnknownModel or BadParams before any data is read."""
    if name == "all" and several:
        if params:
            raise BadParams("--params belongs to one model, not to all")
        return [*TRAINERS, "auto"]
    matrix_of(params)
    if name != "auto":
        make_trainer(name, without_matrix(params))
    return [name]


def read_prepared(
    folder: str | Path, params: Mapping[str, Any], *, tune: int, clean: CleaningConfig | None
) -> tuple[Dataset, Preparation]:
    """The folder, with the events behind its interactions where something asks for them."""
    wanted = bool(tune) or clean is not None or MATRIX in params
    dataset = read_dataset(folder, keep_log=wanted)
    return dataset, Preparation(dataset.log, clean)


def evaluate_folder(
    folder: str | Path,
    *,
    model: str,
    protocol: str | None = None,
    k: int = 10,
    params: Mapping[str, Any] | None = None,
    tune: int = 0,
    clean: CleaningConfig | None = None,
    between_kinds: bool = False,
    options: FitOptions | None = None,
) -> tuple[dict[str, Any] | list[dict[str, Any]], Dataset]:
    """One result as `contract.md` describes, or a list for the name `all`.

    With `clean` the training part is cleaned first; the test stays as it is. With
    `between_kinds` one result also tells under `transfer` how well users known by one category
    are ranked another, under the same cleaning and the given parameters.
    """
    _positive("--k", k)
    names = checked_name(model, params or {}, several=True)
    if between_kinds and model == "all":
        raise BadParams("--transfer belongs to one model, not to all")
    dataset, preparation = read_prepared(folder, params or {}, tune=tune, clean=clean)
    subject = Subject(
        dataset.name, dataset.interactions, dataset.ratings, dataset.table, preparation
    )
    results = [
        evaluated(
            subject,
            name,
            protocol=protocol,
            k=k,
            params=params,
            tune=tune if model != "all" or name in SPACES else 0,
            options=options,
        )
        for name in names
    ]
    if between_kinds:
        found = transfer(dataset.interactions, model, params, options, preparation)
        results[0]["transfer"] = as_json(found)
    return (results if model == "all" else results[0]), dataset


def recommend_folder(
    folder: str | Path,
    out: str | Path,
    *,
    model: str,
    k: int = 10,
    params: Mapping[str, Any] | None = None,
    tune: int = 0,
    clean: CleaningConfig | None = None,
    options: FitOptions | None = None,
) -> tuple[Dataset, CleaningReport | None]:
    """Fit on everything and write the top k unseen items of every user.

    With `clean` the models learn from what the cleaning leaves; lists are still written for
    everybody, without anything they have touched. The report is None without it.
    """
    _positive("--k", k)
    checked_name(model, params or {}, several=False)
    dataset, preparation = read_prepared(folder, params or {}, tune=tune, clean=clean)
    options, everything = options or FitOptions(), dataset.interactions
    interactions, report = preparation.cleaned(everything)
    chosen = dict(params or {})
    if tune:
        chosen = tuned(model, chosen, interactions, tune, options, preparation)
    interactions = preparation.weighed(interactions, chosen)
    fitted = fit_named(model, without_matrix(chosen), interactions, options)

    def rows() -> Iterator[tuple[str, int, str, str]]:
        items = interactions.items.ids(range(len(interactions.items)))
        for start in range(0, len(interactions.users), TOGETHER):
            users = range(start, min(start + TOGETHER, len(interactions.users)))
            seen = [everything.history(user).rows for user in users]
            found = fitted.model.best(interactions.histories(users), k, seen)
            for user, (listed, scores) in zip(users, found, strict=True):
                name = interactions.users.id(user)
                for rank, (row, score) in enumerate(
                    zip(listed.tolist(), scores.tolist(), strict=True), 1
                ):
                    yield name, rank, items[row], f"{score:.6g}"

    with one_blas_thread():
        _write(out, ("user_id", "rank", "item_id", "score"), rows())
    return dataset, report


def rate_folder(
    folder: str | Path,
    pairs: str | Path,
    out: str | Path,
    *,
    model: str,
    params: Mapping[str, Any] | None = None,
    options: FitOptions | None = None,
) -> Dataset:
    """Fit a rating model on everything and answer each `user_id,item_id` row of `pairs`."""
    name = RATING_MODEL if model == "auto" else model
    checked_name(name, params or {}, several=False)
    wanted = _read_pairs(Path(pairs))
    dataset = read_dataset(folder)
    ratings = dataset.ratings if len(dataset.ratings) else dataset.interactions
    if np.isnan(ratings.values).all():
        raise DatasetError("the dataset holds no ratings to learn from")
    fitted = make_trainer(name, params or {}).fit(ratings, options or FitOptions())
    if not isinstance(fitted, MF | ConcatLinear):
        raise NotARatingModel(f"{name} ranks items and predicts no ratings; use {RATING_MODEL}")
    users: Int32 = dataset.interactions.users.rows([user for user, _ in wanted])
    items: Int32 = dataset.interactions.items.rows([item for _, item in wanted])
    rated: Float32 = fitted.rate(users, items)
    lines = ((u, i, f"{r:.5f}") for (u, i), r in zip(wanted, rated, strict=True))
    _write(out, ("user_id", "item_id", "rating"), lines)
    return dataset


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip().lower() for name in next(rows, [])]
            if "user_id" not in header or "item_id" not in header:
                raise DatasetError(f"{path.name} must begin with the header user_id,item_id")
            user, item = header.index("user_id"), header.index("item_id")
            pairs = []
            for row in rows:
                if len(row) <= max(user, item):
                    raise DatasetError(f"{path.name}, line {rows.line_num}: a field is missing")
                pairs.append((row[user], row[item]))
            return pairs
    except (OSError, csv.Error) as why:
        raise DatasetError(f"cannot read {path}: {why}") from why


def _write(path: str | Path, header: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> None:
    try:
        with Path(path).open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as why:
        raise DatasetError(f"cannot write {path}: {why}") from why


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise BadParams(f"{name} must be at least 1")
