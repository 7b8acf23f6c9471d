"""Who may read what. Rights are payments' entitlements; this page knows which of them count."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import User
from content.errors import TicketForged
from content.models import Course, Lesson
from kernel import clock
from kernel.api.fields import rfc3339
from kernel.errors import AccessRequired, NotFound
from payments.models import Entitlement, GroupOffer, Product
from payments.selectors import entitled_scopes, entitlement_for, products_for_scopes
from payments.selling import group_offers
from payments.serializers.shop import group_offer_json

_PREFIX = "course:"


@dataclass(frozen=True)
class Access:
    """`source`: free, order, subscription, redeem, gift, assignment, operator; "" if none.

    `membership` is True when it is a membership, not the course itself, that opens the door.
    """

    granted: bool
    source: str = ""
    valid_until: datetime | None = None
    membership: bool = False


NO_ACCESS = Access(granted=False)


def membership_scopes() -> list[str]:
    """Scopes that open every course with `in_membership`."""
    return ["membership:vip"]


def course_ids_in(scopes: Iterable[str]) -> set[int]:
    """The ids of `course:<id>` scopes; other scopes are passed over."""
    return {
        int(scope.removeprefix(_PREFIX))
        for scope in scopes
        if scope.startswith(_PREFIX) and scope.removeprefix(_PREFIX).isdigit()
    }


def owned_course_ids(user_id: int) -> set[int]:
    """Courses the user is entitled to now: their own, and with a membership all that it covers.

    One query, two for members. Free courses are not in it: nobody owns them.
    """
    scopes = entitled_scopes(user_id)
    owned = course_ids_in(scopes)
    if not scopes.isdisjoint(membership_scopes()):
        owned.update(
            Course.objects.filter(in_membership=True, status=Course.Status.PUBLISHED).values_list(
                "pk", flat=True
            )
        )
    return owned


def is_free(course: Course) -> bool:
    """Whether nothing has to be bought: the course's price is 0, or no product opens it.

    One query for a course without a main product: an operator may have made one in payments'
    own pages, and what has a price is never given away by mistake.
    """
    if course.product is not None:
        return course.product.price_fen == 0
    return not Product.objects.filter(scope=course.scope).exists()


def access_to_course(user: User | None, course: Course) -> Access:
    """What `user` may do with `course`; withdrawn courses stay open to their owners alone.

    At most two queries beyond the course and its product.
    """
    if user is None or not user.is_authenticated:
        return NO_ACCESS
    published = course.status == Course.Status.PUBLISHED
    covered = course.in_membership and published
    scopes = [course.scope, *(membership_scopes() if covered else [])]
    held = entitlement_for(user.pk, scopes)
    if held is not None:
        return Access(
            granted=True,
            source=held.source,
            valid_until=held.valid_until,
            membership=held.scope != course.scope,
        )
    if published and is_free(course):
        return Access(granted=True, source="free")
    return NO_ACCESS


def course_for_user(user: User | None, course_id: int) -> tuple[Course, Access]:
    """A course this user may see, and the access to its lessons. Raises `NotFound`.

    Published courses are seen by all, withdrawn ones by those who are entitled to them.
    """
    course = (
        Course.objects.select_related("category", "creator", "product")
        .defer("search_vector", "search_key")
        .filter(pk=course_id, status__in=(Course.Status.PUBLISHED, Course.Status.WITHDRAWN))
        .first()
    )
    if course is None:
        raise NotFound
    access = access_to_course(user, course)
    if course.status == Course.Status.WITHDRAWN and not access.granted:
        raise NotFound
    return course, access


def lesson_for_user(user: User, lesson_id: int) -> tuple[Lesson, Access]:
    """A lesson this user may read. Raises `NotFound`, or `AccessRequired` with what to buy."""
    lesson = (
        Lesson.objects.select_related("course__product")
        .defer("course__search_vector", "course__intro")
        .filter(
            pk=lesson_id,
            course__status__in=(Course.Status.PUBLISHED, Course.Status.WITHDRAWN),
        )
        .first()
    )
    if lesson is None:
        raise NotFound
    access = access_to_course(user, lesson.course)
    if access.granted:
        return lesson, access
    if lesson.course.status == Course.Status.WITHDRAWN:
        raise NotFound
    if lesson.is_trial:
        return lesson, Access(granted=True, source="trial")
    raise AccessRequired(products=door_openers(lesson.course))


def lesson_for_player(*, user_id: int, lesson_id: int) -> Lesson:
    """The lesson whose media the holder of a play ticket may have now.

    Raises `NotFound`, `AccessRequired`, or `TicketForged` when the account was closed.
    """
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise TicketForged
    lesson, _access = lesson_for_user(user, lesson_id)
    return lesson


def course_for_cover(course_id: int) -> Course | None:
    """What a generated cover shows, for a course that is or was on the shelf; else None."""
    return (
        Course.objects.select_related("category", "creator")
        .only("title", "external_key", "category__name", "creator__nickname")
        .filter(pk=course_id, status__in=(Course.Status.PUBLISHED, Course.Status.WITHDRAWN))
        .first()
    )


def door_openers(course: Course) -> list[dict[str, Any]]:
    """The products on sale that would open `course`: its own first, then memberships.

    Two queries: the products, and the group offers that run on them.
    """
    scopes = [course.scope, *(membership_scopes() if course.in_membership else [])]
    by_scope = products_for_scopes(scopes)
    products = [p for scope in scopes for p in by_scope.get(scope, []) if p.active]
    offers = group_offers([p.pk for p in products])
    return [product_view(p, offers.get(p.pk)) for p in products]


def product_view(product: Product, offer: GroupOffer | None = None) -> dict[str, Any]:
    """A product as contract section 9 shows it, priced for now, with its group offer."""
    price_fen = product.price_at(clock.now())
    promoted = price_fen < product.price_fen
    return {
        "id": str(product.pk),
        "title": product.title,
        "kind": product.kind,
        "scope": product.scope,
        "price_fen": price_fen,
        "list_fen": product.list_fen,
        "promo_until": rfc3339(product.promo_until) if promoted else None,
        "channels": list(product.channels),
        "group": None if offer is None else group_offer_json(offer),
    }


def bought_courses(user_id: int) -> list[tuple[int, int]]:
    """(entitlement id, course id) of the courses bought, given or assigned to the user, newest
    right first, each course once. Memberships don't count: they own nothing. Two queries."""
    living = [scope for scope in entitled_scopes(user_id) if scope.startswith(_PREFIX)]
    rows = (
        Entitlement.objects.filter(user_id=user_id, scope__in=living)
        .order_by("-pk")
        .values_list("pk", "scope")
    )
    newest: dict[str, int] = {}
    for pk, scope in rows:
        newest.setdefault(scope, pk)
    return [(pk, course_id) for scope, pk in newest.items() for course_id in course_ids_in([scope])]
