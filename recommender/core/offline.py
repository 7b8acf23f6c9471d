"""What the commands `evaluate` and `recommend` do, without argparse and without Django."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recommender.core.cleaning import CleaningConfig, CleaningReport, cleaned
from recommender.core.data import KIND_CODES, Float32, Int32, Interactions
from recommender.core.errors import (
    BadParams,
    CoreError,
    DatasetError,
    NotARatingModel,
    said_of,
    sentence,
    system_said,
)
from recommender.core.evaluation import Subject, evaluated, split_by
from recommender.core.event_file import check_text
from recommender.core.metrics import TOGETHER
from recommender.core.models.ratings import MF, ConcatLinear
from recommender.core.preparing import MATRIX, Preparation, matrix_of, without_matrix
from recommender.core.read_report import ReadReport
from recommender.core.reading import Dataset, cannot_read, read_dataset
from recommender.core.threads import one_blas_thread
from recommender.core.training.auto import fit_named
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import TRAINERS, make_trainer
from recommender.core.training.tuning import SPACES, Search, check_tunable, searched
from recommender.core.transfer import as_json, transfer, why_none

RATING_MODEL = "mf"


@dataclass(frozen=True)
class Exported:
    """What was learned from, what the cleaning left out of it, and what a search tried."""

    dataset: Dataset
    cleaning: CleaningReport | None = None
    search: Search | None = None


def parsed_params(text: str) -> dict[str, Any]:
    """Model parameters from JSON; BadParams unless it is an object."""
    try:
        params = json.loads(text or "{}")
    except (ValueError, RecursionError) as why:
        raise BadParams(sentence("--params is not JSON: %(why)s", why=str(why))) from why
    if not isinstance(params, dict):
        raise BadParams(sentence("--params must be a JSON object"))
    return params


def checked_name(name: str, params: Mapping[str, Any], *, several: bool) -> list[str]:
    """The models that a name stands for; UnknownModel or BadParams before any data is read."""
    if name == "all" and several:
        if params:
            raise BadParams(
                sentence("%(option)s belongs to one model, not to all", option="--params")
            )
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
    are ranked another, under the same cleaning and the given parameters, or under
    `transfer_note` why that cannot be told. Of `all`, a model that cannot be fitted is named
    with its reason under `failed`; the error is raised when none can.
    """
    _checked_numbers(k, tune)
    names = checked_name(model, params or {}, several=True)
    if between_kinds and model == "all":
        raise BadParams(
            sentence("%(option)s belongs to one model, not to all", option="--transfer")
        )
    if tune and model != "all":
        check_tunable(model)
    dataset, preparation = read_prepared(folder, params or {}, tune=tune, clean=clean)
    subject = Subject(
        dataset.name, dataset.interactions, dataset.ratings, dataset.table, preparation
    )
    options = options or FitOptions()
    # what no model can be asked is no model's failure
    split_name, _ = split_by(protocol, dataset.interactions, options.seed)
    results: list[dict[str, Any]] = []
    for name in names:
        try:
            one = evaluated(
                subject,
                name,
                protocol=protocol,
                k=k,
                params=params,
                tune=tune if model != "all" or name in SPACES else 0,
                options=options,
            )
        except (CoreError, np.linalg.LinAlgError) as why:
            if name == names[-1] and all("failed" in result for result in results):
                raise
            one = {
                "model": name,
                "dataset": dataset.name,
                "protocol": split_name,
                "seed": options.seed,
                "failed": said_of(why),
            }
        results.append(one)
    if between_kinds:
        found = transfer(dataset.interactions, model, params, options, preparation)
        results[0]["transfer"] = as_json(found)
        if not found:
            results[0]["transfer_note"] = why_none(dataset.interactions, options)
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
) -> Exported:
    """Fit on everything and write the top k unseen items of every user.

    With `clean` the models learn from what the cleaning leaves; lists are still written for
    everybody, without anything they have touched. DatasetError before the fit when `out`
    cannot be written.
    """
    _checked_numbers(k, tune)
    checked_name(model, params or {}, several=False)
    if tune:
        check_tunable(model)
    check_writable(out)
    dataset, preparation = read_prepared(folder, params or {}, tune=tune, clean=clean)
    options, everything = options or FitOptions(), dataset.interactions
    interactions, report = preparation.cleaned(everything)
    chosen, search = dict(params or {}), None
    if tune:
        search = searched(model, chosen, interactions, tune, options, preparation)
        chosen = search.best
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
    return Exported(dataset, report, search)


def rate_folder(
    folder: str | Path,
    pairs: str | Path,
    out: str | Path,
    *,
    model: str,
    params: Mapping[str, Any] | None = None,
    clean: CleaningConfig | None = None,
    options: FitOptions | None = None,
) -> Exported:
    """Fit a rating model on everything and answer each `user_id,item_id` row of `pairs`.

    A row that is none is reported like one of the folder. With `clean` the ratings are cleaned.
    """
    name = RATING_MODEL if model == "auto" else model
    checked_name(name, params or {}, several=False)
    check_writable(out)
    wanted, told = _read_pairs(Path(pairs))
    dataset = read_dataset(folder, keep_log=clean is not None)
    dataset.report.add(told)
    ratings, report = _cleaned_ratings(dataset, clean)
    if np.isnan(ratings.values).all():
        raise DatasetError(sentence("the dataset holds no ratings to learn from"))
    fitted = make_trainer(name, params or {}).fit(ratings, options or FitOptions())
    if not isinstance(fitted, MF | ConcatLinear):
        raise NotARatingModel(
            sentence(
                "%(name)s ranks items and predicts no ratings; use %(other)s",
                name=name,
                other=RATING_MODEL,
            )
        )
    users: Int32 = dataset.interactions.users.rows([user for user, _ in wanted])
    items: Int32 = dataset.interactions.items.rows([item for _, item in wanted])
    rated: Float32 = fitted.rate(users, items)
    lines = ((u, i, f"{r:.5f}") for (u, i), r in zip(wanted, rated, strict=True))
    _write(out, ("user_id", "item_id", "rating"), lines)
    return Exported(dataset, report)


def _cleaned_ratings(
    dataset: Dataset, clean: CleaningConfig | None
) -> tuple[Interactions, CleaningReport | None]:
    """What there is to learn ratings from, after the cleaning of the events of that kind."""
    if not len(dataset.ratings):
        return dataset.interactions, None
    if clean is None or dataset.log is None:
        return dataset.ratings, None
    part = dataset.log.kinds == KIND_CODES["rating"]
    return cleaned(dataset.ratings, dataset.log, clean, part)


def _read_pairs(path: Path) -> tuple[list[tuple[str, str]], ReadReport]:
    report = ReadReport()
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip().lower() for name in next(rows, [])]
            if "user_id" not in header or "item_id" not in header:
                raise DatasetError(
                    sentence(
                        "%(name)s must begin with the header %(columns)s",
                        name=path.name,
                        columns="user_id,item_id",
                    )
                )
            user, item = header.index("user_id"), header.index("item_id")
            pairs, line = [], rows.line_num + 1
            for row in rows:
                report.rows += bool(row)
                try:
                    pairs += _pair(row, user, item)
                except ValueError as bad:
                    report.refuse(path.name, line, said_of(bad))
                line = rows.line_num + 1
    except csv.Error as why:
        raise DatasetError(
            sentence("cannot read %(path)s: %(why)s", path=path, why=str(why))
        ) from why
    except OSError as why:
        raise cannot_read(path, why) from why
    if report.bad and not pairs:
        told = "%(name)s holds no pair that can be used: %(causes)s"
        raise DatasetError(sentence(told, name=path.name, causes=report.causes()))
    return pairs, report


def _pair(row: list[str], user: int, item: int) -> list[tuple[str, str]]:
    """One, none in a blank line; ValueError says why it cannot be asked."""
    if not row:
        return []
    if len(row) <= max(user, item):
        raise ValueError(sentence("wrong number of fields"))
    check_text(row[user])
    check_text(row[item])
    return [(row[user], row[item])]


def check_writable(*paths: str | Path | None) -> None:
    """DatasetError for a path that cannot be written; nothing is there afterwards that was not."""
    for path in (Path(path) for path in paths if path):
        try:
            if not path.exists():
                path.open("x").close()
                path.unlink()
            elif path.is_file() or path.is_dir():  # a pipe would wait for its reader
                path.open("a").close()
        except OSError as why:
            raise _cannot_write(path, why) from why


def _cannot_write(path: object, why: OSError) -> DatasetError:
    return DatasetError(sentence("cannot write %(path)s: %(why)s", path=path, why=system_said(why)))


def _write(path: str | Path, header: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> None:
    try:
        with Path(path).open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as why:
        raise _cannot_write(path, why) from why


def _checked_numbers(k: int, tune: int) -> None:
    for name, value, least in (("--k", k, 1), ("--tune", tune, 0)):
        if value < least:
            raise BadParams(
                sentence("%(option)s must be at least %(least)s", option=name, least=least)
            )
