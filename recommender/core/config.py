"""Frozen configs from JSON-like parameters, and that of `auto`, which web processes check too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from recommender.core.errors import BadParams, sentence

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")
MOST = 1e7
_WORDS = {
    bool: "%(name)s: %(key)s must be true or false",
    str: "%(name)s: %(key)s must be a text",
}


def config_from(kind: type[C], name: str, params: Mapping[str, Any]) -> C:
    """A config dataclass from JSON-like params; BadParams for anything unknown or out of range.

    Numbers must have the type of the default and not be negative; whole numbers are at least 1
    unless their default is 0.
    """
    known = {f.name: f.default for f in fields(kind)}
    taken: dict[str, Any] = {}
    for key, value in params.items():
        if key not in known:
            raise BadParams(
                sentence(
                    "%(name)s has no parameter '%(key)s'; known: %(known)s",
                    name=name,
                    key=key,
                    known=", ".join(known),
                )
            )
        taken[key] = _checked(name, key, known[key], value)
    return kind(**taken)


def _refused(template: str, name: str, key: str, **more: object) -> BadParams:
    return BadParams(sentence(template, name=name, key=key, **more))


def _checked(name: str, key: str, default: object, value: object) -> object:
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not value:
            raise _refused("%(name)s: %(key)s must be a list", name, key)
        return tuple(_checked(name, key, default[0], entry) for entry in value)
    if isinstance(default, bool | str):
        if type(value) is not type(default):
            raise _refused(_WORDS[type(default)], name, key)
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused("%(name)s: %(key)s must be a number", name, key)
    if not 0 <= value <= MOST:  # also refuses NaN
        raise _refused(
            "%(name)s: %(key)s must lie between 0 and %(most)s", name, key, most=f"{MOST:g}"
        )
    if isinstance(default, int):
        if value != int(value):
            raise _refused("%(name)s: %(key)s must be a whole number", name, key)
        if value < 1 <= default:
            raise _refused("%(name)s: %(key)s must be at least 1", name, key)
        return int(value)
    return float(value)


@dataclass(frozen=True)
class AutoConfig:
    candidates: tuple[str, ...] = ("auto",)  # "auto": what suits data with or without times
    epochs: int = 20  # at most, of a neural candidate
    factors: int = 64
    validation_users: int = 2000
    work: float = 12_000.0  # 10⁹ multiplications for all networks; bounds epochs, not a clock
