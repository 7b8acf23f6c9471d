"""Guards around transactions: never talk inside one, repeat what the database refused."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, transaction

from kernel.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

# serialization_failure, deadlock_detected (PostgreSQL, appendix A)
_REPEATABLE = {"40001", "40P01"}
_TRIES = 3


def outside_transaction(call: Callable[P, R]) -> Callable[P, R]:
    """Mark a function that talks to another system: it raises inside an open transaction.

    Entering a durable block is how Django itself detects nesting; a test case's own
    wrapping transaction does not count.
    """

    @wraps(call)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with transaction.atomic(durable=True):
            pass
        return call(*args, **kwargs)

    guarded.outside_transaction = True  # type: ignore[attr-defined]
    return guarded


def retrying(run: Callable[[], R]) -> R:
    """`run()` (which opens its own transaction), repeated up to 3 times on a lost race.

    Raises `Unavailable` (503) when the database refused every time.
    """
    for _attempt in range(_TRIES):
        try:
            return run()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _REPEATABLE:
                raise
            last = error
    raise Unavailable(retry_after=1) from last
