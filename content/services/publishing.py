"""A course's way onto the shelf and off it."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from content.errors import CourseStateRefused
from content.events import CoursePublished, CourseWithdrawn
from content.locks import course_locked
from content.models import Course
from content.rules import may_move
from kernel import clock
from kernel.errors import InvalidInput, NotFound
from kernel.outbox import publish
from payments.models import Product
from payments.services import product_publish


@transaction.atomic
def course_move(*, course_id: int, to: str, publish_at: datetime | None = None) -> Course:
    """The course is in state `to`; its products are on sale exactly while it is published.

    Holds the course's lock. Moving to the state it is in changes nothing; a move that the
    transition table does not know raises `CourseStateRefused`. `scheduled` needs a
    `publish_at` (here or on the course), else `InvalidInput`.
    """
    try:
        course = course_locked(course_id)
    except Course.DoesNotExist as absent:
        raise NotFound from absent
    if not may_move(course.status, to):
        raise CourseStateRefused(state=course.status, wanted=to)
    if course.status == to:
        return course
    _enter(course, to, publish_at)
    course.save(update_fields=["status", "publish_at", "published_at", "withdrawn_at"])
    products_follow(course)
    return course


def _enter(course: Course, to: str, publish_at: datetime | None) -> None:
    course.status = to
    course.publish_at = publish_at or course.publish_at
    if to == Course.Status.SCHEDULED and course.publish_at is None:
        raise InvalidInput(fields={"publish_at": [_("请填写上架时间。")]})
    if to == Course.Status.PUBLISHED:
        # A course that comes back keeps its first date: it is not new again.
        course.published_at = course.published_at or clock.now()
        course.withdrawn_at = None
        publish(CoursePublished(course_id=course.pk), key=str(course.pk))
    if to == Course.Status.WITHDRAWN:
        course.withdrawn_at = clock.now()
        publish(CourseWithdrawn(course_id=course.pk), key=str(course.pk))


def course_publish(course_id: int) -> Course:
    """The course is on the shelf and its products are on sale."""
    return course_move(course_id=course_id, to=Course.Status.PUBLISHED)


def course_withdraw(course_id: int) -> Course:
    """The course is off the shelf; its owners keep access, nobody can buy it."""
    return course_move(course_id=course_id, to=Course.Status.WITHDRAWN)


def publish_due(limit: int = 100) -> int:
    """Every scheduled course whose moment has come is published; returns how many."""
    due = Course.objects.filter(
        status=Course.Status.SCHEDULED, publish_at__lte=clock.now()
    ).order_by("publish_at", "pk")
    ids = list(due.values_list("pk", flat=True)[:limit])
    for pk in ids:
        course_publish(pk)
    return len(ids)


def products_follow(course: Course) -> None:
    """Products of the course's scope are on sale exactly while the course is published."""
    on_sale = course.status == Course.Status.PUBLISHED
    for product in Product.objects.filter(scope=course.scope).exclude(active=on_sale):
        product_publish(
            scope=product.scope,
            title=product.title,
            kind=product.kind,
            price_fen=product.price_fen,
            list_fen=product.list_fen,
            channels=product.channels,
            product_id=product.pk,
            active=on_sale,
            xpay_product_id=product.xpay_product_id,
            owner_ref=product.owner_ref,
        )
