"""A course's price: its main product in payments."""

from django.db import transaction

from content.locks import course_locked
from content.models import Course
from content.services.catalogue import DEFAULT_CHANNELS, main_product
from kernel.errors import NotFound
from payments.models import Product
from payments.services import product_publish


@transaction.atomic
def course_price_set(*, course_id: int, price_fen: int, list_fen: int | None = None) -> Product:
    """The course's main product has these prices (made where it is new); on sale while the
    course is published. Holds the course's lock. Raises `InvalidInput` and `NotFound`."""
    try:
        course = course_locked(course_id)
    except Course.DoesNotExist as absent:
        raise NotFound from absent
    product = main_product(course)
    saved = product_publish(
        scope=course.scope,
        title=course.title[:120],
        kind=Product.Kind.BUNDLE if course.kind == Course.Kind.BUNDLE else Product.Kind.COURSE,
        price_fen=price_fen,
        list_fen=price_fen if list_fen is None else list_fen,
        channels=product.channels if product else DEFAULT_CHANNELS,
        product_id=product.pk if product else None,
        active=course.status == Course.Status.PUBLISHED,
        xpay_product_id=product.xpay_product_id if product else "",
        owner_ref=course.scope,
    )
    Course.objects.filter(pk=course.pk).update(product=saved)
    return saved
