"""Results that several models of the same data share."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

D = TypeVar("D")
P = ParamSpec("P")
R = TypeVar("R")


def once_per_data(
    made: Callable[Concatenate[D, P], R],
) -> Callable[Concatenate[D, P], R]:
    """The function's result for the same data and arguments is made once and kept as long as
    the data are. Nobody may change it."""
    kept: WeakKeyDictionary[D, dict[Any, R]] = WeakKeyDictionary()

    def found(data: D, /, *args: P.args, **kwargs: P.kwargs) -> R:
        results = kept.setdefault(data, {})
        key = (args, tuple(sorted(kwargs.items())))
        if key not in results:
            results[key] = made(data, *args, **kwargs)
        return results[key]

    update_wrapper(found, made)
    return found
