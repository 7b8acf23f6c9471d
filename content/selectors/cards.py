"""Course cards (contract section 9): the feed's hot path, one query, plain dicts."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from content.rules import rating_mean
from kernel import clock, sql

# Written out, since building the same queryset takes longer than PostgreSQL needs to answer it.
# The order of columns is the order of names in `_card`.
_ROWS = """
SELECT c.id, c.title, c.subtitle, c.cover_url, c.kind, c.category_id, g.name, c.creator_id,
    m.nickname, c.tag_names, c.rating_sum, c.rating_count, c.lesson_count, c.learner_count,
    c.published_at, p.price_fen, p.list_fen, p.promo_fen, p.promo_from, p.promo_until
FROM content_course AS c
LEFT JOIN content_category AS g ON g.id = c.category_id
LEFT JOIN content_creator AS m ON m.id = c.creator_id
LEFT JOIN payments_product AS p ON p.id = c.product_id
WHERE c.id = ANY(%s::bigint[]) AND c.status = ANY(%s::text[])
"""
PUBLISHED = ["published"]
PUBLISHED_OR_WITHDRAWN = ["published", "withdrawn"]


def cards(
    course_ids: Sequence[int], *, owned: Collection[int] = (), withdrawn: bool = False
) -> list[dict[str, Any]]:
    """Cards of `course_ids` in their order, one query. Courses that are not published are left
    out; `withdrawn=True` keeps the withdrawn ones (for owners' own lists)."""
    if not course_ids:
        return []
    states = PUBLISHED_OR_WITHDRAWN if withdrawn else PUBLISHED
    rows = sql.rows(_ROWS, [list(course_ids), states])
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
