"""Users known by one kind of course, ranked another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recommender.core.data import ItemTable
from recommender.core.errors import DatasetError
from recommender.core.transfer import transfer
from tests.recommender_core.conftest import events, two_tastes


def two_kinds(*, related: bool):
    """80 people with 3 of 6 songs and 3 of 6 dances; by taste both come from the same half."""
    rng = np.random.default_rng(4)
    rows: list[tuple[str, str, float | None]] = []
    for user in range(80):
        halves = [user % 2, user % 2 if related else int(rng.integers(2))]
        picked = [
            f"{kind}{3 * half + n}"
            for kind, half in zip(("song", "dance"), halves, strict=True)
            for n in rng.permutation(3)[:2]
        ]
        rows += [(f"u{user}", item, float(10 * user + t)) for t, item in enumerate(picked)]
    x = events(rows)
    names = x.items.ids(range(len(x.items)))
    blank = [""] * len(names)
    table = ItemTable(
        names, [name[:-1] for name in names], [()] * len(names), blank, None, None, blank
    )
    return replace(x, table=table)


def test_a_taste_that_runs_through_both_kinds_is_carried_over():
    found = {(one.source, one.target): one for one in transfer(two_kinds(related=True), "user_knn")}

    assert set(found) == {("song", "dance"), ("dance", "song")}
    assert sum(one.users for one in found.values()) == 24  # three tenths of 80
    for one in found.values():
        assert one.auc > 0.85
        assert one.popular_auc < 0.65
        assert one.ndcg > one.popular_ndcg
        assert f"{one.users} users" in one.sentence()


def test_unrelated_kinds_carry_nothing_over():
    found = transfer(two_kinds(related=False), "user_knn")

    assert all(0.2 < one.auc < 0.8 for one in found)


def test_data_without_kinds_is_refused_by_name():
    with pytest.raises(DatasetError, match="fewer than two categories"):
        transfer(two_tastes(), "popular")
