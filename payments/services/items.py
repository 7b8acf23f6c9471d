"""Items of virtual payment: which prices are wanted, and how each gets published (B6)."""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from kernel import clock
from kernel.locks import LockRank, note_rank
from payments.locks import claim_many
from payments.models import GroupOffer, Product, XpayItem
from payments.models.products import Channel

logger = logging.getLogger(__name__)

State = XpayItem.State
# Looks at an item that does not get on, each later than the last: about four hours.
MAX_CHECKS = 50
BATCH = 100
UNDER_WAY = (State.DRAFT, State.UPLOADING, State.PUBLISHING)


def item_name(product_id: int, price_fen: int) -> str:
    """The platform's id of an item that we publish ourselves: one per product and price."""
    return f"kpay_{product_id}_{price_fen}"


@transaction.atomic
def items_want(*, product: Product) -> None:
    """A row for each price that the product is sold at through virtual payment.

    New ones are uploaded and published by the sweep. The item named by hand counts as published
    at the price the product had when it was named; a later price gets an item of its own.
    """
    if not product.active or Channel.VIRTUAL not in product.channels:
        return
    note_rank(LockRank.ORDER)
    if product.xpay_product_id:
        _by_hand(product)
    at = clock.now()
    XpayItem.objects.bulk_create(
        [
            XpayItem(
                product=product,
                item_id=item_name(product.pk, price_fen),
                price_fen=price_fen,
                next_check_at=at,
                created_at=at,
            )
            for price_fen in sorted(_prices(product))
        ],
        ignore_conflicts=True,
    )


def _prices(product: Product) -> set[int]:
    """What somebody may have to pay for it without coupon and points."""
    asked = [product.price_fen, product.member_fen or 0]
    if product.promo_until is None or product.promo_until > clock.now():
        asked.append(product.promo_fen or 0)
    offers = GroupOffer.objects.filter(product=product, active=True)
    asked += offers.values_list("price_fen", flat=True)
    return {fen for fen in asked if 0 < fen <= product.price_fen}


def _by_hand(product: Product) -> None:
    """The item that an operator made at the platform, as of now."""
    named = XpayItem.objects.filter(item_id=product.xpay_product_id).first()
    if named is not None:
        if named.product_id != product.pk:
            logger.error("xpay item %s belongs to product %s", named, named.product_id)
        return
    if product.price_fen == 0:
        return
    XpayItem.objects.update_or_create(
        product=product,
        price_fen=product.price_fen,
        defaults={
            "item_id": product.xpay_product_id,
            "state": State.PUBLISHED,
            "usable_at": clock.now(),
            "next_check_at": None,
            "last_error": "",
        },
    )


def items_wanted(*, most: int = 500) -> int:
    """Products that lack an item for one of their prices have one wanted; returns how many.

    Finds what did not go through `product_publish`: promotions, member prices, older rows.
    """
    item = XpayItem.objects.filter(product=OuterRef("pk"))
    lacking = Q(price_fen__gt=0) & Q(~Exists(item.filter(price_fen=OuterRef("price_fen"))))
    for field in ("promo_fen", "member_fen"):
        lower = Q(**{f"{field}__gt": 0, f"{field}__lt": F("price_fen")})
        lacking |= lower & Q(~Exists(item.filter(price_fen=OuterRef(field))))
    found = Product.objects.filter(
        lacking, active=True, channels__contains=[Channel.VIRTUAL]
    ).order_by("pk")
    products = list(found[:most])
    for product in products:
        items_want(product=product)
    return len(products)


@transaction.atomic
def items_claimed() -> list[XpayItem]:
    """Items whose next step is due, put off until their next look. Commit before asking."""
    return claim_many(
        XpayItem.objects.filter(state__in=UNDER_WAY, next_check_at__lte=clock.now()),
        field="next_check_at",
        rank=LockRank.ORDER,
        again=_next_look,
        most=BATCH,
    )


def _next_look(item: XpayItem) -> datetime:
    return clock.now() + timedelta(seconds=min(300, 10 * 2 ** min(item.checks, 5)))


@transaction.atomic
def items_moved(*, ids: Collection[int], state: str) -> None:
    """These items are one step further, or at an earlier one again."""
    note_rank(LockRank.ORDER)
    rows = XpayItem.objects.filter(pk__in=ids, state__in=UNDER_WAY)
    if state == State.PUBLISHED:
        usable_at = clock.now() + timedelta(seconds=settings.KPAY.xpay_quiet_seconds)
        rows.update(state=state, usable_at=usable_at, next_check_at=None, last_error="", checks=0)
    else:
        rows.update(state=state, last_error="", checks=F("checks") + 1)
        _give_up(ids)


@transaction.atomic
def items_wait(*, ids: Collection[int], why: str) -> None:
    """No step further now. Without end they fail: a person has to look."""
    note_rank(LockRank.ORDER)
    rows = XpayItem.objects.filter(pk__in=ids, state__in=UNDER_WAY)
    rows.update(last_error=why[:200], checks=F("checks") + 1)
    _give_up(ids)


def _give_up(ids: Collection[int]) -> None:
    XpayItem.objects.filter(pk__in=ids, state__in=UNDER_WAY, checks__gte=MAX_CHECKS).update(
        state=State.FAILED, next_check_at=None
    )


@transaction.atomic
def item_failed(*, item_id: int, why: str) -> None:
    """The platform will not have it: no more tries by itself."""
    note_rank(LockRank.ORDER)
    XpayItem.objects.filter(pk=item_id, state__in=UNDER_WAY).update(
        state=State.FAILED, last_error=why[:200], next_check_at=None
    )


@transaction.atomic
def item_again(*, item_id: int) -> bool:
    """A person wants a failed item tried again, from the beginning; False for any other."""
    note_rank(LockRank.ORDER)
    failed = XpayItem.objects.filter(pk=item_id, state=State.FAILED)
    return bool(
        failed.update(state=State.DRAFT, checks=0, next_check_at=clock.now(), last_error="")
    )


@transaction.atomic
def item_published_by_hand(*, item_id: int) -> bool:
    """A person has published it at the platform and it may be sold; False if it was so before."""
    note_rank(LockRank.ORDER)
    others = XpayItem.objects.filter(pk=item_id).exclude(state=State.PUBLISHED)
    return bool(
        others.update(
            state=State.PUBLISHED, usable_at=clock.now(), next_check_at=None, last_error=""
        )
    )
