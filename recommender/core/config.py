"""Frozen configs from JSON-like parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from recommender.core.errors import BadParams

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")
MOST = 1e7


def config_from(kind: type[C], name: str, params: Mapping[str, Any]) -> C:
    """A config dataclass from JSON-like params; BadParams for anything unknown or out of range.

    Numbers must have the type of the default and not be negative; whole numbers are at least 1
    unless their default is 0.
    """
    known = {f.name: f.default for f in fields(kind)}
    taken: dict[str, Any] = {}
    for key, value in params.items():
        if key not in known:
            raise BadParams(f"{name} has no parameter {key!r}; known: {', '.join(known)}")
        taken[key] = _checked(name, key, known[key], value)
    return kind(**taken)


def _checked(name: str, key: str, default: object, value: object) -> object:
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not value:
            raise BadParams(f"{name}: {key} must be a list")
        return tuple(_checked(name, key, default[0], entry) for entry in value)
    if isinstance(default, bool | str):
        if type(value) is not type(default):
            raise BadParams(f"{name}: {key} must be a {type(default).__name__}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadParams(f"{name}: {key} must be a number")
    if not 0 <= value <= MOST:  # also refuses NaN
        raise BadParams(f"{name}: {key} must lie between 0 and {MOST:g}")
    if isinstance(default, int):
        if value != int(value):
            raise BadParams(f"{name}: {key} must be a whole number")
        if value < 1 <= default:
            raise BadParams(f"{name}: {key} must be at least 1")
        return int(value)
    return float(value)
