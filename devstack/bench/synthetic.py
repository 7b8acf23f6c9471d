"""Interactions with structure in any size: tastes, popular items, a long tail, an order in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recommender.core.data import IdMap, Int32, Interactions

TOPICS = 100
TASTES = 5  # topics of a user, the first three times as dear as the last
OFF_TASTE = 0.2  # share of events in any topic
SKEW = 2.5  # place in a topic: size * uniform ** SKEW
SHORTEST = 5
PART = 1_000_000


def drawn(users: int, items: int, events: int, seed: int = 0) -> tuple[Int32, Int32]:
    """Rows [about `events`] of users and items, one a pair, in no order; a user has 5 or more."""
    rng = np.random.default_rng(seed)
    mean = events / users
    lengths = SHORTEST + rng.geometric(1 / max(mean - SHORTEST + 1, 1.01), users) - 1
    lengths = np.minimum(lengths, items // 10)
    topics = min(TOPICS, items)
    tastes = rng.integers(0, topics, (users, TASTES))
    share = np.linspace(3, 1, TASTES) / np.linspace(3, 1, TASTES).sum()
    found: list[np.ndarray] = []
    ends = np.cumsum(lengths)
    first = 0
    while first < users:  # by parts: 20 million at once would take more memory than a fit
        done = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + PART)))
        own = np.repeat(np.arange(first, last), np.ceil(lengths[first:last] * 1.6).astype(int))
        topic = tastes[own, rng.choice(TASTES, len(own), p=share)]
        topic = np.where(rng.random(len(own)) < OFF_TASTE, rng.integers(0, topics, len(own)), topic)
        place = (rng.random(len(own)) ** SKEW * (items // topics)).astype(np.int64)
        pairs = np.unique(own * np.int64(items) + place * topics + topic)
        pairs = pairs[rng.permutation(len(pairs))]
        pairs = pairs[np.argsort(pairs // items, kind="stable")]
        mine = np.bincount(pairs // items - first, minlength=last - first)
        rank = np.arange(len(pairs)) - np.repeat(np.cumsum(mine) - mine, mine)
        found.append(pairs[rank < lengths[pairs // items]])
        first = last
    whole = np.concatenate(found)
    user, item = (whole // items).astype(np.int32), (whole % items).astype(np.int32)
    order = rng.permutation(len(whole)).astype(np.int32)
    return user[order], item[order]


def interactions(users: int, items: int, events: int) -> Interactions:
    """The same as one dataset, an event a second."""
    user, item = drawn(users, items, events)
    return Interactions.build(
        users=IdMap.from_ids(map(str, range(users))),
        items=IdMap.from_ids(map(str, range(items))),
        user_rows=user,
        item_rows=item,
        times=np.arange(len(user), dtype=np.float64),
    )


def write(folder: Path, users: int, items: int, events: int) -> Path:
    """The same as a dataset folder."""
    user, item = drawn(users, items, events)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "interactions.csv").open("w", encoding="ascii") as file:
        file.write("user_id,item_id,event,value,timestamp\n")
        for start in range(0, len(user), PART):
            span = slice(start, start + PART)
            pairs = zip(user[span].tolist(), item[span].tolist(), strict=True)
            file.writelines(f"u{u},i{i},view,,{start + n}\n" for n, (u, i) in enumerate(pairs))
    return folder
