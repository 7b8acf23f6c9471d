"""The sample learners: known keys, sound rows, visible taste, and the same bytes each time."""

import csv
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest

from content.sample import make_interactions
from tests.sample.test_catalogue import COURSES, SAMPLE, SHOP

HEADER = ["user_id", "item_id", "event", "value", "timestamp"]
FILES = ("interactions.csv", "interactions_bridge.csv")
CATEGORY = {course["key"]: course["category"] for course in COURSES}
PUBLISHED = {
    course["key"]: datetime.fromisoformat(course["published_at"]).replace(tzinfo=UTC).timestamp()
    for course in COURSES
}
FREE = {course["key"] for course in COURSES if course["products"][0]["price_fen"] == 0}


def rows(name: str) -> list[dict[str, str]]:
    with (SAMPLE / name).open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def pairs(name: str) -> set[tuple[str, str]]:
    return {(row["user_id"], row["item_id"]) for row in rows(name)}


@pytest.mark.parametrize("name", FILES)
def test_every_row_is_sound(name):
    first = int(datetime(2025, 11, 1, tzinfo=UTC).timestamp())
    last = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    found = rows(name)

    assert list(found[0]) == HEADER
    for row in found:
        assert row["item_id"] in CATEGORY
        assert first <= int(row["timestamp"]) < last
        assert int(row["timestamp"]) >= PUBLISHED[row["item_id"]]
        match row["event"]:
            case "play":
                assert 0 < int(row["value"]) <= 100
            case "rating":
                assert int(row["value"]) in range(1, 6)
            case event:
                assert event in {"click", "view", "complete", "purchase"}
                assert row["value"] == ""
        assert not (row["event"] == "purchase" and row["item_id"] in FREE)


def test_courses_are_frequent_enough_beside_films():
    learners = pairs("interactions.csv")
    times = Counter(course for _, course in learners)

    assert len({user for user, _ in learners}) == 400
    assert min(times[key] for key in CATEGORY) >= 8
    assert sum(count >= 60 for count in times.values()) >= 20
    assert max(times.values()) >= 4 * min(times.values())
    assert (SAMPLE / "interactions.csv").stat().st_size <= 600 * 1024


def test_learners_stay_with_their_interests():
    chosen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for user, course in pairs("interactions.csv"):
        chosen[user][CATEGORY[course]] += 1
    busy = [counts for counts in chosen.values() if counts.total() >= 8]
    in_top_three = [sum(n for _, n in c.most_common(3)) / c.total() for c in busy]

    # Without interests the three strongest of eight even categories would hold about .60.
    assert sum(in_top_three) / len(in_top_three) > 0.75


def test_learners_walk_the_paths_forwards():
    started: dict[tuple[str, str], int] = {}
    for row in rows("interactions.csv"):
        key = (row["user_id"], row["item_id"])
        started[key] = min(int(row["timestamp"]), started.get(key, 2**62))
    forwards = backwards = 0
    users = {user for user, _ in started}
    steps = {pair for path in make_interactions.PATHS for pair in zip(path, path[1:], strict=False)}
    for before, after in steps:
        for user in users:
            if (user, before) in started and (user, after) in started:
                if started[user, before] < started[user, after]:
                    forwards += 1
                else:
                    backwards += 1

    assert forwards > 2 * backwards


def test_paths_name_known_courses():
    assert {key for path in make_interactions.PATHS for key in path} <= set(CATEGORY)


def test_150_movielens_users_bring_their_taste_to_the_shop():
    users = {user for user, _ in pairs("interactions_bridge.csv")}
    known = {f"ml:{user}" for user, _, _ in make_interactions.movielens_ratings()}

    assert len(users) == 150
    assert users <= known


def test_the_bridge_maps_every_film_genre_to_known_categories():
    bridge = json.loads((SAMPLE / "bridge.json").read_text("utf-8"))
    genres = {
        genre for _, names, _ in make_interactions.movielens_ratings() for genre in names.split("|")
    }
    categories = {row["key"] for row in SHOP["categories"]}

    assert {entry["genre"] for entry in bridge} == genres - {"(no genres listed)"}
    for entry in bridge:
        assert sum(entry["categories"].values()) == pytest.approx(1)
        assert set(entry["categories"]) <= categories
        assert entry["why"]


def test_a_lover_of_war_films_is_led_to_history():
    bridge = json.loads((SAMPLE / "bridge.json").read_text("utf-8"))
    ratings = [(user, "Drama|Comedy|Romance|Sci-Fi", 4.0) for user in range(200) for _ in range(10)]
    ratings += [(7, "War", 5.0)] * 100

    made = {learner.user_id: learner for learner in make_interactions.bridged_make(ratings, bridge)}
    if "ml:7" not in made:
        pytest.fail("user 7 is not among the 150: choose another for this test")

    assert max(made["ml:7"].interests, key=made["ml:7"].interests.__getitem__) == "cat-humanities"


def test_running_the_generator_again_writes_the_committed_files(tmp_path):
    make_interactions.main(tmp_path)

    for name in FILES:
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes()
