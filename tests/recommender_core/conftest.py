"""Small data with two tastes, and MovieLens 100K as a dataset folder where it is at hand."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender.core.data import KIND_CODES, IdMap, Interactions, ItemTable, UserTable

ROOT = Path(__file__).resolve().parents[2]

# small enough for a conformance test, in the parameters' own names
FAST = {
    "popular": {},
    "recent": {},
    "item_knn": {"neighbours": 10},
    "concat_linear": {"factors": 4, "epochs": 2},
    "mf": {"factors": 4, "iterations": 6, "burn_in": 2},
    "user_knn": {"neighbours": 12},
    "session_knn": {"neighbours": 12},
    "ials": {"factors": 8, "iterations": 4, "regularization": 0.1},
    "ease": {"regularization": 1.0},
    "transitions": {"regularization": 1.0},
    "history_tower": {"factors": 8, "epochs": 3, "batch": 64},
    "neumf": {"factors": 4, "hidden": 4, "epochs": 3, "batch": 64},
    "lightgcn": {"factors": 8, "epochs": 3, "batch": 64},
    "sasrec": {"factors": 8, "length": 8, "epochs": 3, "batch": 64},
    "two_tower": {"factors": 8, "epochs": 3, "batch": 64},
}


def events(
    rows: list[tuple[str, str, float | None]],
    *,
    more_items: tuple[str, ...] = (),
    stars: list[float] | None = None,
) -> Interactions:
    """Interactions from (user, item, time); ratings when `stars` are given."""
    users = list(dict.fromkeys(user for user, _, _ in rows))
    items = list(dict.fromkeys([*(item for _, item, _ in rows), *more_items]))
    untimed = any(time is None for _, _, time in rows)
    return Interactions.build(
        users=IdMap.from_ids(users),
        items=IdMap.from_ids(items),
        user_rows=np.array([users.index(user) for user, _, _ in rows], np.int32),
        item_rows=np.array([items.index(item) for _, item, _ in rows], np.int32),
        times=None if untimed else np.array([time for _, _, time in rows], np.float64),
        values=None if stars is None else np.array(stars, np.float32),
        kinds=None if stars is None else np.full(len(rows), KIND_CODES["rating"], np.uint8),
    )


def two_tastes(users: int = 30, *, timed: bool = True, seed: int = 1) -> Interactions:
    """Even users take 6 of the even items, odd users 6 of the odd ones, of 20 in all."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, float | None]] = []
    stars = []
    for user in range(users):
        for step, item in enumerate(rng.permutation(10)[:6]):
            time = float(1_000_000 + user * 100 + step) if timed else None
            rows.append((f"u{user}", f"i{2 * item + user % 2}", time))
            stars.append(float(rng.integers(1, 6)))
    return events(rows, stars=stars)


def described(x: Interactions) -> Interactions:
    """The same data with a text for each item and an interest for each user, by taste."""
    even = [int(item[1:]) % 2 == 0 if item[1:].isdigit() else False for item in all_ids(x.items)]
    words = ["编程 数据 算法" if one else "钢琴 乐理 声乐" for one in even]
    table = ItemTable(
        titles=[f"第{n}课 {text}" for n, text in enumerate(words)],
        categories=["技术" if one else "音乐" for one in even],
        tags=[()] * len(even),
        creators=[""] * len(even),
        published_at=np.full(len(even), np.nan),
        price_fen=np.full(len(even), 990),
        texts=words,
    )
    told = [("技术",) if user[1:].isdigit() and int(user[1:]) % 2 == 0 else ("音乐",)
            for user in all_ids(x.users)]  # fmt: skip
    return replace(x, table=table, people=UserTable(told))


def all_ids(mapped: IdMap) -> list[str]:
    return mapped.ids(range(len(mapped)))


@pytest.fixture(scope="session")
def ml100k() -> Path:
    """The folder of MovieLens 100K as GroupLens ships it."""
    shared = Path(os.environ.get("KPAY_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (shared / "ml-100k" / "u.data").is_file():
        pytest.skip(f"MovieLens 100K is not at {shared}/ml-100k and cannot be shipped")
    return shared / "ml-100k"


@pytest.fixture(scope="session")
def ratings(ml100k: Path) -> list[tuple[str, str, str, int]]:
    """(user, item, stars, time) of every rating, in the file's order."""
    with (ml100k / "u.data").open() as file:
        rows = [line.split() for line in file]
    return [(f"u{user}", f"i{item}", stars, int(time)) for user, item, stars, time in rows]


@pytest.fixture(scope="session")
def last_out(
    ratings: list[tuple[str, str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """A dataset folder without each user's last rating, and those ratings.

    Ties are broken by this test's own shuffle, not by the product's.
    """
    shuffled = np.random.default_rng(7).permutation(len(ratings))
    order = sorted(range(len(ratings)), key=lambda n: (ratings[n][3], shuffled[n]))
    last = {ratings[n][0]: n for n in order}
    folder = tmp_path_factory.mktemp("ml100k")
    held = set(last.values())
    write_folder(folder, [r for n, r in enumerate(ratings) if n not in held])
    return folder, {user: ratings[n][1] for user, n in last.items()}


def write_folder(folder: Path, rows: list[tuple[str, str, str, int]]) -> None:
    with (folder / "interactions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user_id", "item_id", "event", "value", "timestamp"))
        writer.writerows((user, item, "rating", stars, time) for user, item, stars, time in rows)
