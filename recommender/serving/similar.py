"""Courses like a given one."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from content.selectors import cards, owned_course_ids, published_courses
from kernel.errors import NotFound
from recommender.models import ServingPointer
from recommender.serving.catalogue import catalogue_cache, stock_of
from recommender.serving.holder import holder
from recommender.serving.ranking import similar_places


def similar_cards(course_id: int, *, user: User | None, k: int) -> list[dict[str, Any]]:
    """Up to k cards, most alike first, without what the user owns. NotFound if not published."""
    if not published_courses().filter(pk=course_id).exists():
        raise NotFound
    pointer = ServingPointer.objects.filter(pk=1, version__isnull=False)
    served = pointer.values_list("version__version", "version__path").first()
    loaded = holder.wanted(*(served or (None, None)))
    stock = stock_of(catalogue_cache.get(), loaded)
    owned = owned_course_ids(user.pk) if user is not None else set()
    places, _ = similar_places(stock, course_id, 2 * k + len(owned))
    ids = [i for i in stock.catalogue.ids[places].tolist() if i not in owned and i != course_id]
    return cards(ids[:k])
