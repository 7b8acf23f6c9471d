"""Taking a tag out of what is known about a learner."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from content.models import Category
from kernel.errors import NotFound
from recommender.models import TagDeletion

LONGEST = 80


@transaction.atomic
def tag_delete(*, user_id: int, tag: str) -> None:
    """From the next feed and the next training on, this tag says nothing about the learner.

    A category goes by its name and its key alike, so a later name of it is deleted as well. The
    categories below it stay: each is a tag of its own in the portrait, and is deleted there.
    Deleting twice changes nothing. NotFound for a text that no tag can be.
    """
    if not tag or len(tag) > LONGEST or "\0" in tag:
        raise NotFound
    names = {tag}
    for key, name in Category.objects.filter(Q(key=tag) | Q(name=tag)).values_list("key", "name"):
        names.update((key, name))
    TagDeletion.objects.bulk_create(
        [TagDeletion(user_id=user_id, tag=name) for name in sorted(names)], ignore_conflicts=True
    )
