"""Saving categories, creators, courses and lessons. Everything is idempotent by its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from content import bigrams
from content.locks import course_locked
from content.models import Category, Course, Creator, Lesson, Tag
from content.richtext import one_line, plain_text, sanitised
from content.rules import reading_seconds
from content.services.publishing import course_move
from kernel import clock
from kernel.errors import InvalidInput
from payments.models import Product
from payments.services import product_publish

DEFAULT_CHANNELS = ("jsapi", "virtual")
MAX_TAGS = 20


def category_save(*, key: str, name: str, parent: str | None = None, position: int = 0) -> Category:
    """The category called `key`, below the one called `parent`. Raises `InvalidInput`."""
    above = None
    if parent:
        above = _by_key(Category, parent, "parent")
        node: Category | None = above
        while node is not None:
            if node.key == key:
                raise InvalidInput(fields={"parent": [_("分类不能放在自己之下。")]})
            node = node.parent
    saved, _made = Category.objects.update_or_create(
        key=key,
        defaults={"name": one_line(name, limit=32), "parent": above, "position": position},
    )
    return saved


def creator_save(
    *, key: str, nickname: str, bio: str = "", avatar_url: str = "", user_id: int | None = None
) -> Creator:
    """The creator called `key`. An account once bound stays when `user_id` is left out."""
    values: dict[str, Any] = {
        "nickname": one_line(nickname, limit=64),
        "bio": plain_text(sanitised(bio)),
        "avatar_url": avatar_url[:500],
    }
    if user_id is not None:
        values["user_id"] = user_id
    saved, _made = Creator.objects.update_or_create(key=key, defaults=values)
    return saved


@dataclass(frozen=True)
class SavedCourse:
    """A course with its lessons and products by the keys they were given under."""

    course: Course
    lessons: dict[str, Lesson] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)


@transaction.atomic
def course_save(
    *,
    key: str,
    title: str,
    kind: str = Course.Kind.COURSE,
    status: str | None = None,
    subtitle: str = "",
    intro: str = "",
    creator: str | None = None,
    category: str | None = None,
    tags: Sequence[str] = (),
    in_membership: bool = False,
    cover_url: str = "",
    published_at: datetime | date | str | None = None,
    lessons: Sequence[Mapping[str, Any]] = (),
    products: Sequence[Mapping[str, Any]] = (),
) -> SavedCourse:
    """The course whose external key is `key`, with these lessons and products, in `status`.

    `creator` and `category` are keys; a lesson is {key, title, kind, is_trial,
    duration_seconds, content, media_key?}, a product {key, title, price_fen, list_fen,
    channels, xpay_product_id?, kind?}; the first product that is no gift is the card's price.
    Lessons, products and a status left out stay as they are (a new course is a draft). Holds the
    course's lock. Raises `InvalidInput`.
    """
    _choice("kind", kind, Course.Kind.values)
    if status is not None:
        _choice("status", status, Course.Status.values)
    found, _made = Course.objects.get_or_create(external_key=key, defaults={"title": title[:200]})
    course = course_locked(found.pk)
    course.title = one_line(title, limit=200)
    if not course.title:
        raise InvalidInput(fields={"title": [_("请填写标题。")]})
    course.kind = kind
    course.subtitle = one_line(subtitle, limit=200)
    course.intro = sanitised(intro)
    course.creator = _by_key(Creator, creator, "creator") if creator else None
    course.category = _by_key(Category, category, "category") if category else None
    course.in_membership = in_membership
    course.cover_url = cover_url[:500]
    course.published_at = _moment(published_at) or course.published_at
    kept = tags_named(tags)
    course.tag_names = [tag.name for tag in kept]
    course.save()
    course.tags.set(kept)
    saved_lessons = {
        _key(row): lesson_save(course_id=course.pk, position=position, **_lesson(row))
        for position, row in enumerate(lessons, start=1)
    }
    saved_products = {_key(row): _product(course, row) for row in products}
    mains = (p for p in saved_products.values() if p.kind != Product.Kind.GIFT)
    main = next(mains, None)
    if main is not None:
        Course.objects.filter(pk=course.pk).update(product=main)
    course_refresh(course.pk)
    if status is not None:
        course_move(course_id=course.pk, to=status)
    course = Course.objects.select_related("product").get(pk=course.pk)
    return SavedCourse(course, saved_lessons, saved_products)


def lesson_save(
    *,
    course_id: int,
    title: str,
    key: str | None = None,
    position: int | None = None,
    kind: str = Lesson.Kind.ARTICLE,
    is_trial: bool = False,
    duration_seconds: int = 0,
    content: str = "",
    media_key: str = "",
) -> Lesson:
    """The lesson `key` of the course (a new one without key), its text sanitised.

    An article without duration gets its reading time. The course's own figures are brought up
    to date by `course_refresh`, once after all its lessons. Raises `InvalidInput`.
    """
    _choice("kind", kind, Lesson.Kind.values)
    if not 0 <= duration_seconds < 10_000_000:
        raise InvalidInput(fields={"duration_seconds": [_("时长须为不小于 0 的秒数。")]})
    values: dict[str, Any] = {
        "title": one_line(title, limit=200),
        "kind": kind,
        "is_trial": is_trial,
        "content": sanitised(content),
        "media_key": media_key[:300],
    }
    values["duration_seconds"] = duration_seconds or default_duration(kind, values["content"])
    if position is None:
        last = Lesson.objects.filter(course_id=course_id).aggregate(last=Max("position"))["last"]
        position = (last or 0) + 1
    values["position"] = position
    if key is None:
        return Lesson.objects.create(course_id=course_id, **values)
    saved, _made = Lesson.objects.update_or_create(course_id=course_id, key=key, defaults=values)
    return saved


def default_duration(kind: str, content: str) -> int:
    """Reading time of texts; 0 (unknown) for media whose length nobody gave."""
    if kind not in (Lesson.Kind.ARTICLE, Lesson.Kind.DOCUMENT):
        return 0
    return reading_seconds(len(plain_text(content)))


def tags_named(names: Sequence[str]) -> list[Tag]:
    """The tags of these names, made where they are new, in the order given."""
    wanted = list(dict.fromkeys(one_line(name, limit=40) for name in names))[:MAX_TAGS]
    wanted = [name for name in wanted if name]
    Tag.objects.bulk_create([Tag(name=name) for name in wanted], ignore_conflicts=True)
    by_name = {tag.name: tag for tag in Tag.objects.filter(name__in=wanted)}
    return [by_name[name] for name in wanted]


@transaction.atomic
def course_refresh(course_id: int) -> Course:
    """What is derived from a course's rows is right again: clean texts, tags on the card,
    main product, number and length of lessons, search index.

    Holds the course's lock; safe to repeat.
    """
    course = course_locked(course_id)
    lessons = list(course.lessons.all())
    for lesson in lessons:
        clean = sanitised(lesson.content)
        length = lesson.duration_seconds or default_duration(lesson.kind, clean)
        if (clean, length) != (lesson.content, lesson.duration_seconds):
            lesson.content, lesson.duration_seconds = clean, length
            lesson.save(update_fields=["content", "duration_seconds"])
    course.title = one_line(course.title, limit=200)
    course.subtitle = one_line(course.subtitle, limit=200)
    course.intro = sanitised(course.intro)
    names = list(course.tags.values_list("name", flat=True))
    known = [name for name in course.tag_names if name in names]  # the author's order stays
    course.tag_names = known + [name for name in names if name not in known]
    course.product = main_product(course)
    course.lesson_count = len(lessons)
    course.duration_seconds = sum(lesson.duration_seconds for lesson in lessons)
    course.search_key = bigrams.search_key(course.title)[:200]
    course.search_vector = search_document(
        title=course.title,
        subtitle=course.subtitle,
        tags=course.tag_names,
        creator=course.creator.nickname if course.creator else "",
        category=course.category.name if course.category else "",
    )
    course.save(
        update_fields=[
            "title",
            "subtitle",
            "intro",
            "tag_names",
            "product",
            "lesson_count",
            "duration_seconds",
            "search_key",
            "search_vector",
        ]
    )
    return course


def main_product(course: Course) -> Product | None:
    """The product whose price the card shows: the one that was set, else the cheapest that
    opens the course (an operator may have made it in payments' own pages). Never a gift."""
    return course.product or (
        Product.objects.filter(scope=course.scope)
        .exclude(kind=Product.Kind.GIFT)
        .order_by("-active", "price_fen", "pk")
        .first()
    )


def search_document(
    *, title: str, subtitle: str, tags: Sequence[str], creator: str, category: str
) -> str:
    """The tsvector literal of a course: title A, tags and creator B, subtitle and category C."""
    return bigrams.vector(
        [
            (title, "A"),
            (creator, "B"),
            *((tag, "B") for tag in tags),
            (subtitle, "C"),
            (category, "C"),
        ]
    )


def _key(row: Mapping[str, Any]) -> str:
    """The key of a lesson or product row. Raises `InvalidInput` without one."""
    key = str(row.get("key") or "")
    if not key:
        raise InvalidInput(fields={"key": [_("课时和商品都需要标识。")]})
    return key


def _moment(value: datetime | date | str | None) -> datetime | None:
    """A moment, or the start of a day in the shop's zone. Raises `InvalidInput`."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise InvalidInput(fields={"published_at": [_("时间格式不正确。")]}) from error
    if value is None:
        return None
    if not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    return value if value.tzinfo else value.replace(tzinfo=clock.SHOP_ZONE)


def _lesson(row: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields of a lesson in a provision file; the rest of the row is ignored."""
    names = ("key", "title", "kind", "is_trial", "duration_seconds", "content", "media_key")
    return {name: row[name] for name in names if row.get(name) is not None}


def _product(course: Course, row: Mapping[str, Any]) -> Product:
    price_fen, list_fen = row.get("price_fen"), row.get("list_fen")
    if not isinstance(price_fen, int) or not isinstance(list_fen, int | None):
        raise InvalidInput(fields={"price_fen": [_("价格须为以分计的整数。")]})
    return product_publish(
        scope=course.scope,
        title=one_line(str(row.get("title") or course.title), limit=120),
        kind=_product_kind(course, row),
        price_fen=price_fen,
        list_fen=price_fen if list_fen is None else list_fen,
        channels=row.get("channels") or DEFAULT_CHANNELS,
        active=course.status == Course.Status.PUBLISHED,
        key=_key(row),
        xpay_product_id=str(row.get("xpay_product_id") or ""),
        owner_ref=course.scope,
    )


def _product_kind(course: Course, row: Mapping[str, Any]) -> str:
    """What the course is sold as, or codes for others where the row says so."""
    own = Product.Kind.BUNDLE if course.kind == Course.Kind.BUNDLE else Product.Kind.COURSE
    asked = row.get("kind")
    if asked is None or asked == own.value:
        return own
    if asked != Product.Kind.GIFT.value or own == Product.Kind.BUNDLE:
        raise InvalidInput(fields={"kind": [_("课程的商品类型只能留空或为 gift。")]})
    return Product.Kind.GIFT


def _by_key(model: Any, key: str, field_name: str) -> Any:
    row = model.objects.filter(key=key).first()
    if row is None:
        raise InvalidInput(fields={field_name: [_("找不到标识为该值的内容。")]})
    return row


def _choice(field_name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InvalidInput(fields={field_name: [_("不支持的取值。")]})
