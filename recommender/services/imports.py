"""Loading a dataset folder into accounts, catalogue and feedback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice

from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts.models import User
from content.services import ImportedCourse, bulk_import_courses
from feedback.services import ImportedEvent, bulk_import_events, hot_scores_refresh
from recommender.dataset_folder import Folder

COURSES, USERS, EVENTS = 1000, 5000, 20_000
LONGEST_NAME = 40
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Imported:
    """What the tables hold of the folder now; `new_*` is what this import added."""

    courses: int
    users: int
    events: int
    new_users: int
    new_events: int


def dataset_import(folder: Folder, *, tell: Tell) -> Imported:
    """Items are published courses, users accounts without identity, rows interactions.

    Idempotent: courses go by `<folder>:<item_id>`, users by `ds_<folder>:<user_id>`, events by
    their content. `tell(stage, done, total)` follows. Grants nothing, makes no order.
    """
    name = folder.name[:LONGEST_NAME]
    courses = _courses(folder, name, tell)
    users, new_users = _users(folder, name, tell)
    events = _events(folder, courses, users, tell)
    new_events = bulk_import_events(events)
    hot_scores_refresh()
    return Imported(len(courses), len(users), len(folder.interactions), new_users, new_events)


def _courses(folder: Folder, name: str, tell: Tell) -> dict[str, int]:
    """{item id: course id}. An item without a date counts as published when first used."""
    first: dict[str, float] = {}
    for row in folder.interactions:
        if row.at is not None:
            first[row.item] = min(row.at, first.get(row.item, row.at))
    wanted = folder.item_ids()
    found: dict[str, int] = {}
    for start in range(0, len(wanted), COURSES):
        part = wanted[start : start + COURSES]
        rows = [_course(folder, name, item, first.get(item)) for item in part]
        ids = bulk_import_courses(f"dataset:{name}", rows)
        found.update((item, ids[f"{name}:{item}"]) for item in part)
        tell("courses", len(found), len(wanted))
    return found


def _course(folder: Folder, name: str, item: str, first: float | None) -> ImportedCourse:
    key = f"{name}:{item}"
    told = folder.items.get(item)
    used = None if first is None else datetime.fromtimestamp(first, UTC)
    if told is None:
        return ImportedCourse(key=key, title=item, published_at=used)
    return ImportedCourse(
        key=key,
        title=told.title or item,
        category=told.category,
        tags=told.tags,
        creator=told.creator,
        published_at=told.published_at or used,
        price_fen=told.price_fen,
        text=told.text,
    )


def _users(folder: Folder, name: str, tell: Tell) -> tuple[dict[str, int], int]:
    """{user id: account id} and how many accounts are new. Nobody can sign in to them."""
    wanted = folder.user_ids()
    found: dict[str, int] = {}
    new = 0
    for start in range(0, len(wanted), USERS):
        part = wanted[start : start + USERS]
        keys = {_username(name, user): user for user in part}
        new += _make_accounts(folder, keys)
        rows = User.objects.filter(username__in=keys).values_list("username", "pk")
        found.update((keys[username], pk) for username, pk in rows)
        tell("users", len(found), len(wanted))
    return found, new


def _username(name: str, user: str) -> str:
    """Always readable, never longer than the column, never the same for two users."""
    text = f"ds_{name}:{user}"
    normal = User.normalize_username(text)
    if normal == text:
        return text
    return f"ds_{name}:{blake2b(user.encode(), digest_size=16).hexdigest()}"


@transaction.atomic
def _make_accounts(folder: Folder, keys: dict[str, str]) -> int:
    known = set(User.objects.filter(username__in=keys).values_list("username", flat=True))
    rows = []
    for username, user in keys.items():
        if username in known:
            continue
        told = folder.people.get(user)
        rows.append(
            User(
                username=username,
                nickname=user[:32],
                password=make_password(None),
                birth_year=told.birth_year if told else None,
                occupation=told.occupation if told else "",
                interests=list(told.interests) if told else [],
            )
        )
    User.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _events(
    folder: Folder, courses: dict[str, int], users: dict[str, int], tell: Tell
) -> Iterator[ImportedEvent]:
    total, done = len(folder.interactions), 0
    rows = iter(folder.interactions)
    while part := list(islice(rows, EVENTS)):
        for row in part:
            yield ImportedEvent(
                user_id=users[row.user],
                course_id=courses[row.item],
                type=row.event,
                value=row.value,
                occurred_at=None if row.at is None else datetime.fromtimestamp(row.at, UTC),
            )
        done += len(part)
        tell("events", done, total)
