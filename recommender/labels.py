"""What learners told of themselves, as the labels that models know: interests and channels.

An interest stands for the names of its category and of those below it, since courses carry
names; `channel:<scene>` is where the learner first came from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from accounts.models import Identity, User
from content.models import Category
from recommender.models import TagDeletion

CHANNEL = "channel:"
DEEPEST = 8  # levels of the category tree
CHUNK = 20_000


def _table(model: Any) -> str:
    return str(model._meta.db_table)


# Nothing about those who switched personalisation off.
LABELS_SQL = f"""
SELECT u.id, u.interests,
       ARRAY(SELECT DISTINCT i.entry_scene FROM {_table(Identity)} i
             WHERE i.user_id = u.id AND i.entry_scene <> ''),
       ARRAY(SELECT d.tag FROM {_table(TagDeletion)} d WHERE d.user_id = u.id)
FROM {_table(User)} u
WHERE u.personalised_feed AND (%(users)s::bigint[] IS NULL OR u.id = ANY(%(users)s::bigint[]))
  AND (cardinality(u.interests) > 0 OR EXISTS (
    SELECT 1 FROM {_table(Identity)} i WHERE i.user_id = u.id AND i.entry_scene <> ''))
"""  # noqa: S608  (names of our own tables)


@dataclass(frozen=True)
class CategoryTree:
    """The categories by what an interest may call them."""

    below: dict[str, frozenset[int]]  # key or name -> its id and its descendants'
    names: dict[int, str]
    keys: dict[int, str]

    def labels(
        self, interests: Iterable[str], scenes: Iterable[str], deleted: Collection[str]
    ) -> tuple[str, ...]:
        """The labels of one learner, in a fixed order; a deleted tag is none any more.

        A deleted category is none under a later name either. An interest that no category is
        called by stays as it was told.
        """
        found: set[str] = set()
        for interest in interests:
            if interest not in deleted:
                places = self.below.get(interest)
                kept = (n for n in places or () if self.keys[n] not in deleted)
                found.update([interest] if places is None else (self.names[n] for n in kept))
        found.update(CHANNEL + scene for scene in scenes if scene)
        return tuple(sorted(found.difference(deleted)))


def read_tree() -> CategoryTree:
    """One query."""
    rows = list(Category.objects.values_list("pk", "key", "name", "parent_id"))
    children: dict[int, list[int]] = {}
    for pk, _key, _name, parent in rows:
        if parent is not None:
            children.setdefault(parent, []).append(pk)

    def below(pk: int, depth: int = 0) -> frozenset[int]:
        deeper = children.get(pk, []) if depth < DEEPEST else []
        return frozenset({pk}).union(*(below(child, depth + 1) for child in deeper))

    found: dict[str, frozenset[int]] = {}
    for pk, key, name, _parent in rows:
        found[name] = found.get(name, frozenset()) | below(pk)
        found[key] = below(pk)
    return CategoryTree(
        found,
        {pk: name for pk, _key, name, _parent in rows},
        {pk: key for pk, key, _name, _parent in rows},
    )


def read_labels(user_ids: Sequence[int] | None = None) -> dict[int, tuple[str, ...]]:
    """The labels of those learners who told something, of all of them by default.

    Two queries; the rows come through a server-side cursor. Equal tuples are one object.
    """
    tree = read_tree()
    found: dict[int, tuple[str, ...]] = {}
    same: dict[tuple[str, ...], tuple[str, ...]] = {}
    for user, interests, scenes, deleted in _rows(user_ids):
        labels = tree.labels(interests, scenes, frozenset(deleted))
        if labels:
            found[user] = same.setdefault(labels, labels)
    return found


def _rows(user_ids: Sequence[int] | None) -> Iterator[tuple[Any, ...]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(LABELS_SQL, {"users": None if user_ids is None else list(user_ids)})
        while rows := cursor.fetchmany(CHUNK):
            yield from rows
