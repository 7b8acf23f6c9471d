"""Course cards (contract section 9): the feed's hot path, one query, plain dicts."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from content.models import Course
from content.rules import rating_mean
from kernel import clock

# One row of `_ROWS` per course; the order of names is the order of the loop's variables.
_ROWS = Course.objects.values_list(
    "id",
    "title",
    "subtitle",
    "cover_url",
    "kind",
    "category_id",
    "category__name",
    "creator_id",
    "creator__nickname",
    "tag_names",
    "rating_sum",
    "rating_count",
    "lesson_count",
    "learner_count",
    "published_at",
    "product__price_fen",
    "product__list_fen",
    "product__promo_fen",
    "product__promo_from",
    "product__promo_until",
)


def cards(
    course_ids: Sequence[int], *, owned: Collection[int] = (), withdrawn: bool = False
) -> list[dict[str, Any]]:
    """Cards of `course_ids` in their order, one query. Courses that are not published are left
    out; `withdrawn=True` keeps the withdrawn ones (for owners' own lists)."""
    if not course_ids:
        return []
    states = ("published", "withdrawn") if withdrawn else ("published",)
    rows = _ROWS.filter(pk__in=course_ids, status__in=states)
    at = clock.now()
    base = settings.KPAY.public_base_url
    found = {row[0]: _card(row, owned, at, base) for row in rows}
    return [found[pk] for pk in dict.fromkeys(course_ids) if pk in found]


def _card(row: tuple[Any, ...], owned: Collection[int], at: datetime, base: str) -> dict[str, Any]:
    (
        pk,
        title,
        subtitle,
        cover_url,
        kind,
        category_id,
        category_name,
        creator_id,
        creator_name,
        tags,
        rating_sum,
        rating_count,
        lesson_count,
        learner_count,
        published_at,
        price_fen,
        list_fen,
        promo_fen,
        promo_from,
        promo_until,
    ) = row
    if (
        promo_fen is not None
        and promo_fen < price_fen
        and (promo_from is None or promo_from <= at)
        and (promo_until is None or at < promo_until)
    ):
        price_fen = promo_fen
    return {
        "id": str(pk),
        "title": title,
        "subtitle": subtitle,
        "cover_url": cover_address(base, pk, cover_url),
        "kind": kind,
        "category": category_id and {"id": str(category_id), "name": category_name},
        "creator": creator_id and {"id": str(creator_id), "nickname": creator_name},
        "tags": tags,
        "price_fen": price_fen or 0,
        "list_fen": list_fen or 0,
        "rating": {"mean": rating_mean(rating_sum, rating_count), "count": rating_count},
        "lesson_count": lesson_count,
        "learner_count": learner_count,
        "owned": pk in owned,
        "published_at": published_at.astimezone(clock.SHOP_ZONE).isoformat(timespec="seconds"),
    }


def cover_address(base: str, course_id: int, cover_url: str) -> str:
    """The absolute address of a cover: the uploaded one, else the generated drawing."""
    if not cover_url:
        return f"{base}/media/covers/{course_id}.svg"
    return cover_url if "://" in cover_url else f"{base}/{cover_url.lstrip('/')}"
