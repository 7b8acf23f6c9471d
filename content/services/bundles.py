"""What a course of kind bundle is sold with."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from content.locks import course_locked
from content.models import Course
from content.services.catalogue import main_product
from kernel.errors import InvalidInput
from payments.models import Plan, Product
from payments.services import bundle_set


@transaction.atomic
def course_bundle_set(*, key: str, members: Sequence[str]) -> list[Product]:
    """The bundle course `key` is sold with exactly these, in this order.

    A member is the key of a course (its main product), of a product or of a plan. Holds the
    course's lock. Raises `InvalidInput`.
    """
    found = Course.objects.filter(external_key=key).only("pk").first()
    course = course_locked(found.pk) if found is not None else None
    product = main_product(course) if course is not None else None
    if course is None or product is None or course.kind != Course.Kind.BUNDLE:
        raise InvalidInput(fields={"bundle": [_("只有带商品的套餐课程可以设置套餐内容。")]})
    items = [_member(name) for name in members]
    bundle_set(bundle_id=product.pk, item_ids=[item.pk for item in items])
    return items


def _member(name: str) -> Product:
    course = Course.objects.filter(external_key=name).select_related("product").first()
    product = main_product(course) if course is not None else None
    if product is None:
        product = Product.objects.filter(key=name).first()
    if product is None:
        plan = Plan.objects.filter(key=name).select_related("product").first()
        product = plan.product if plan is not None else None
    if product is None:
        raise InvalidInput(fields={"bundle": [_("找不到套餐内容：%(key)s。") % {"key": name}]})
    return product
