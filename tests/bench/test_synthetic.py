"""The bench's data: as many events as told, an item once a user, the same each time."""

from __future__ import annotations

import numpy as np

from devstack.bench import synthetic
from recommender.core.reading import read_dataset


def test_every_pair_is_drawn_once_and_about_as_many_as_asked_for():
    user, item = synthetic.drawn(200, 2_000, 8_000)
    pairs = np.unique(user.astype(np.int64) * 2_000 + item)

    assert len(pairs) == len(user)
    assert 0.9 * 8_000 < len(user) < 1.1 * 8_000
    assert np.bincount(user, minlength=200).min() >= synthetic.SHORTEST - 1
    assert 0 <= item.min() <= item.max() < 2_000
    again, _ = synthetic.drawn(200, 2_000, 8_000)
    assert np.array_equal(user, again)


def test_the_file_says_what_the_arrays_say(tmp_path):
    made = synthetic.interactions(50, 400, 600)
    read = read_dataset(synthetic.write(tmp_path, 50, 400, 600)).interactions

    def pairs(x, prefix):
        users, items = (ids.ids(range(len(ids))) for ids in (x.users, x.items))
        return {
            (users[u].removeprefix(prefix[0]), items[i].removeprefix(prefix[1]), t)
            for u, i, t in zip(x.user_rows, x.item_rows, x.times.tolist(), strict=True)
        }

    assert pairs(made, ("", "")) == pairs(read, ("u", "i"))
