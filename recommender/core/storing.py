"""Columns to one file and back: what a training learns from outlives the worker that read it."""

from __future__ import annotations

import json
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recommender.core import data
from recommender.core.errors import ArtifactError

T = TypeVar("T")
HEADER = "__header__"


def store_columns(value: Any, path: Path) -> None:
    """A dataclass of `core.data` as one .npz; the file appears whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {}
    header = json.dumps(_told(value, "", arrays))
    path.parent.mkdir(parents=True, exist_ok=True)
    half_done = path.with_suffix(".part")
    with half_done.open("wb") as file:
        columns: dict[str, Any] = {HEADER: np.frombuffer(header.encode(), np.uint8), **arrays}
        np.savez(file, **columns)
        file.flush()
        os.fsync(file.fileno())
    os.replace(half_done, path)


def load_columns(path: Path, kind: type[T]) -> T:
    """What `store_columns` wrote; ArtifactError when it is not there, broken or another kind."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            told = json.loads(file[HEADER].tobytes().decode())
            value = _built(told, dict(file))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, BadZipFile) as why:
        raise ArtifactError(f"{path.name} cannot be read: {why}") from why
    if not isinstance(value, kind):
        raise ArtifactError(f"{path.name} holds no {kind.__name__}")
    return value


def _told(value: Any, place: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        arrays[place] = value
        return {"array": place}
    if is_dataclass(value) and not isinstance(value, type):
        inner = {f.name: _told(getattr(value, f.name), f"{place}.{f.name}", arrays)
                 for f in fields(value)}  # fmt: skip
        return {"kind": type(value).__name__, "fields": inner}
    if isinstance(value, dict):
        return {"named": {k: _told(v, f"{place}.{k}", arrays) for k, v in value.items()}}
    return {"plain": value}


def _built(told: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if "array" in told:
        return arrays[told["array"]]
    if "kind" in told:
        inner = {name: _built(value, arrays) for name, value in told["fields"].items()}
        return getattr(data, told["kind"])(**inner)
    if "named" in told:
        return {name: _built(value, arrays) for name, value in told["named"].items()}
    plain = told["plain"]
    if isinstance(plain, list):  # JSON has no tuples; the tables hold lists of them
        return [tuple(entry) if isinstance(entry, list) else entry for entry in plain]
    return plain
