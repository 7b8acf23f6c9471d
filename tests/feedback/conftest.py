"""Learners in courses, and a clock that a test moves."""

from collections.abc import Callable, Iterator

import pytest

from tests import ports


@pytest.fixture
def forward() -> Iterator[Callable[[int], None]]:
    """`forward(15)` moves the product's clock 15 s on from where it stands."""
    moved = 0

    def move(seconds: int) -> None:
        nonlocal moved
        moved += seconds
        ports.CLOCK_FILE.write_text(str(moved), encoding="ascii")

    yield move
    ports.CLOCK_FILE.unlink(missing_ok=True)
