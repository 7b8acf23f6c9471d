"""Making orders."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from kernel import clock
from kernel.ids import new_no
from payments.errors import AlreadyOwned, QuoteExpired, QuoteUsed
from payments.locks import buyer_turn, quote_locked
from payments.models import Group, Order, OrderLine, Quote
from payments.ports import discount_source
from payments.selling import owned_among
from payments.services.endings import discounts_of, spend_now
from payments.services.fulfilment import order_fulfil
from payments.services.pricing import PLAIN, Terms
from payments.services.quotes import quote_make

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic
def order_make(
    *,
    user: "User",
    quote_id: int | None = None,
    items: Sequence[Mapping[str, int]] = (),
    platform: str = "",
    coupon_id: int | None = None,
    points: int = 0,
    terms: Terms = PLAIN,
) -> Order:
    """A pending order that charges exactly its quote, coupon and points reserved with it.

    From `quote_id`, or from `items` priced now under `terms`. An order over 0 fen is paid at
    once. Raises `NotFound` (foreign quote), `QuoteExpired`, `QuoteUsed`, `AlreadyOwned`, and what
    the discount source says.
    """
    buyer_turn(user.pk)
    if quote_id is None:
        quote = quote_make(
            user=user,
            items=items,
            platform=platform,
            coupon_id=coupon_id,
            points=points,
            terms=terms,
        )
    else:
        quote = _usable_quote(quote_id, user.pk)
    _refuse_owned(user.pk, quote.lines)
    order, lines = _create(quote, clock.now(), terms.group)
    if order.payable_fen:
        if order.coupon_id is not None or order.points_used:
            discount_source().reserve(discounts_of(order))
        return order
    spend_now(discounts_of(order))
    order_fulfil(order=order, lines=lines, payment=None, at=order.created_at)
    return order


def _usable_quote(quote_id: int, user_id: int) -> Quote:
    quote = quote_locked(quote_id=quote_id, user_id=user_id)
    used_by = Order.objects.filter(quote=quote).values_list("no", flat=True).first()
    if used_by is not None:
        raise QuoteUsed(order_no=used_by)
    if quote.expires_at <= clock.now():
        raise QuoteExpired
    return quote


def _refuse_owned(user_id: int, lines: Sequence[Mapping[str, Any]]) -> None:
    """Memberships are exempt, unless the buyer has one that never ends."""
    owned = owned_among(user_id, [(line["scope"], line["period"]) for line in lines])
    if owned:
        raise AlreadyOwned(scopes=sorted(owned))


def _create(quote: Quote, at: datetime, group: Group | None) -> tuple[Order, list[OrderLine]]:
    expires_at = at + timedelta(seconds=settings.KPAY.order_expiry_seconds)
    if group is not None:
        expires_at = min(expires_at, group.expires_at)
    order = Order.objects.create(
        no=new_no(),
        user_id=quote.user_id,
        quote=quote,
        group=group,
        platform=quote.platform,
        total_fen=quote.total_fen,
        discount_fen=quote.discount_fen,
        coupon_id=quote.coupon_id,
        coupon_fen=quote.coupon_fen,
        points_used=quote.points,
        points_value_fen=quote.points_value_fen,
        payable_fen=quote.payable_fen,
        created_at=at,
        expires_at=expires_at,
        next_sweep_at=expires_at,
    )
    lines = OrderLine.objects.bulk_create(OrderLine(order=order, **line) for line in quote.lines)
    return order, lines
