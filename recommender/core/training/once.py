"""Results that several models of the same data share."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from recommender.core.data import Interactions

P = ParamSpec("P")
R = TypeVar("R")


def once_per_data(
    made: Callable[Concatenate[Interactions, P], R],
) -> Callable[Concatenate[Interactions, P], R]:
    """The function's result for the same interactions and arguments is made once and kept as
    long as the interactions are. Nobody may change it."""
    kept: WeakKeyDictionary[Interactions, dict[Any, R]] = WeakKeyDictionary()

    def found(interactions: Interactions, /, *args: P.args, **kwargs: P.kwargs) -> R:
        results = kept.setdefault(interactions, {})
        key = (args, tuple(sorted(kwargs.items())))
        if key not in results:
            results[key] = made(interactions, *args, **kwargs)
        return results[key]

    update_wrapper(found, made)
    return found
