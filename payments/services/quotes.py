"""Prices that are promised for a while."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from kernel import clock
from payments import rules
from payments.models import Quote
from payments.services.pricing import PLAIN, Better, Priced, Terms, better_than, price_now

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic
def quote_make(
    *,
    user: "User",
    items: Sequence[Mapping[str, int]],
    platform: str,
    coupon_id: int | None = None,
    points: int = 0,
    best: bool = False,
    terms: Terms = PLAIN,
) -> Quote:
    """A stored price for `items`, as `price_now` says it: nothing is reserved yet.

    Its lines add up to `payable_fen`; an order made from it before `expires_at` charges exactly
    that. `best` takes the cheapest coupon and points instead of those given.
    """
    return quote_keep(
        user=user,
        platform=platform,
        priced=price_now(
            user=user,
            items=items,
            platform=platform,
            coupon_id=coupon_id,
            points=points,
            best=best,
            terms=terms,
        ),
    )


@transaction.atomic
def quote_ask(*, user: "User", best: bool = False, **asked: Any) -> tuple[Quote, Better | None]:
    """The quote, and the combination of coupon and points that would cost less than it."""
    priced = price_now(user=user, best=best, **asked)
    quote = quote_keep(user=user, platform=asked["platform"], priced=priced)
    return quote, None if best else better_than(priced, user=user)


@transaction.atomic
def quote_keep(*, user: "User", platform: str, priced: Priced) -> Quote:
    """This price is stored, and promised until it expires."""
    at = clock.now()
    return Quote.objects.create(
        user_id=user.pk,
        platform=platform,
        coupon_id=priced.offer.coupon_id,
        coupon_fen=priced.coupon_fen,
        points=priced.offer.points,
        total_fen=priced.total_fen,
        discount_fen=priced.discount_fen,
        points_value_fen=priced.points_value_fen,
        payable_fen=priced.payable_fen,
        lines=[_line_json(line) for line in priced.lines],
        created_at=at,
        expires_at=at + timedelta(seconds=settings.KPAY.quote_expiry_seconds),
    )


KEEP_UNUSED = timedelta(days=7)


def quotes_forget(*, limit: int = 5000) -> int:
    """Quotes that ran out a week ago and became no order are gone; returns how many."""
    old = Quote.objects.filter(expires_at__lt=clock.now() - KEEP_UNUSED, order=None)
    forgotten, _each = Quote.objects.filter(
        pk__in=list(old.values_list("pk", flat=True)[:limit])
    ).delete()
    return forgotten


def _line_json(line: rules.PricedLine) -> dict[str, Any]:
    """The line as its `OrderLine` will be."""
    item = line.item
    return {
        "line_no": item.line_no,
        "product_id": item.product_id,
        "kind": item.kind,
        "title": item.title,
        "scope": item.scope,
        "gives": item.gives,
        "message": item.message,
        "period": item.period,
        "quantity": item.quantity,
        "list_fen": line.list_fen,
        "discount_fen": line.discount_fen,
        "points_value_fen": line.points_value_fen,
        "payable_fen": line.payable_fen,
        "steps": [step.as_json() for step in line.steps],
    }
