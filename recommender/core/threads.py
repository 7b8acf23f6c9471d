"""How many threads the linear algebra underneath may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Many small products in a row: threads would wait for each other and burn what they wait."""
    # here, not at the top: it comes with the training libraries, which a web process has not
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    with threadpool_limits(1, "blas"):
        yield
