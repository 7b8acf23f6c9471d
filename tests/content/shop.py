"""Makes courses as operators would: through the catalogue's services."""

from itertools import count
from typing import Any

from content.models import Course
from content.services import category_save, course_save, creator_save

_numbers = count(1)


def make_course(title: str = "", *, price_fen: int | None = 9900, **fields: Any) -> Course:
    """A published course with a trial lesson and a paid one of 100 s each, and a product."""
    number = next(_numbers)
    key = fields.pop("key", f"course{number}")
    lessons = fields.pop("lessons", None)
    if lessons is None:
        lessons = [
            {
                "key": "a",
                "title": "试听",
                "kind": "video",
                "is_trial": True,
                "duration_seconds": 100,
            },
            {"key": "b", "title": "正课", "kind": "video", "duration_seconds": 100},
        ]
    products = [] if price_fen is None else [{"key": f"{key}-p", "price_fen": price_fen}]
    return course_save(
        key=key,
        title=title or f"课程{number}",
        status=fields.pop("status", "published"),
        lessons=lessons,
        products=fields.pop("products", products),
        **fields,
    ).course


def make_creator(nickname: str = "林夏", **fields: Any) -> Any:
    return creator_save(
        key=fields.pop("key", f"creator{next(_numbers)}"), nickname=nickname, **fields
    )


def make_category(name: str = "职场", **fields: Any) -> Any:
    return category_save(key=fields.pop("key", f"cat-{next(_numbers)}"), name=name, **fields)
