"""Reads around selling: what is owned, bundles, group offers. A fixed number of queries each."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet

from kernel import clock
from kernel.errors import NotFound
from payments.models import (
    BundleItem,
    Entitlement,
    Gift,
    Group,
    GroupOffer,
    Invoice,
    Order,
    Product,
)
from payments.selectors import get_order_for_user

if TYPE_CHECKING:
    from accounts.models import User

# Orders that hold a seat in their group: those to be paid and those that are.
SEATED = (Order.Status.PENDING, Order.Status.PAID, Order.Status.PARTIALLY_REFUNDED)

# What may stand inside a bundle: no bundle, and no gift.
BUNDLED = (Product.Kind.COURSE, Product.Kind.PLAN)


def owned_among(
    user_id: int, things: Iterable[tuple[str, str]], *, at: datetime | None = None
) -> set[str]:
    """Those scopes of `things` ((scope, period) pairs) that the user has no reason to buy.

    A thing for good is owned while there is a living right to it. A membership (it has a period)
    only when it never ends: else a new period starts where the last one ends. One query.
    """
    asked = {scope: period for scope, period in things if scope}
    if not asked:
        return set()
    now = at or clock.now()
    rows = Entitlement.objects.filter(
        Q(valid_until__isnull=True) | Q(valid_until__gt=now),
        user_id=user_id,
        scope__in=list(asked),
        revoked_at__isnull=True,
    ).values_list("scope", "valid_from", "valid_until")
    return {
        scope for scope, since, until in rows if (until is None if asked[scope] else since <= now)
    }


def bundle_contents(bundle_ids: Collection[int]) -> dict[int, list[Product]]:
    """What is in each bundle, in its order, with plans. One query, none without bundles."""
    found: dict[int, list[Product]] = {pk: [] for pk in bundle_ids}
    if bundle_ids:
        rows = BundleItem.objects.filter(bundle_id__in=list(bundle_ids))
        for row in rows.select_related("item__plan").order_by("position", "pk"):
            found[row.bundle_id].append(row.item)
    return found


def sellable_bundle(items: Collection[Product]) -> bool:
    """Whether a bundle of these may be sold: there is something in it, and all of it is on sale."""
    return bool(items) and all(item.active and item.kind in BUNDLED for item in items)


def period_of(product: Product) -> str:
    """The period of a membership; empty for what is bought for good."""
    plan = getattr(product, "plan", None) if product.kind == Product.Kind.PLAN else None
    return "" if plan is None else plan.period


def group_offers(product_ids: Collection[int]) -> Mapping[int, GroupOffer]:
    """The group offer that runs on each of these products. One query."""
    rows = GroupOffer.objects.filter(product_id__in=list(product_ids), active=True)
    return {row.product_id: row for row in rows}


def get_gifts_for_user(*, user: "User") -> QuerySet[Gift]:
    """The gifts that the user has bought, newest first, with their lines, orders and claimers."""
    return (
        Gift.objects.filter(line__order__user_id=user.pk)
        .select_related("line__order", "line__product", "claimed_by")
        .order_by("-pk")
    )


def get_gift_by_hash(code_hash: bytes) -> Gift:
    """The gift of the code with this hash, with its giver. Raises `NotFound`."""
    try:
        return Gift.objects.select_related("line__product", "line__order__user").get(
            code_hash=code_hash
        )
    except Gift.DoesNotExist:
        raise NotFound from None


def get_group(group_id: int) -> Group:
    """A group with its product. Whoever has its number may look: it is passed on to be joined."""
    try:
        return Group.objects.select_related("offer__product").get(pk=group_id)
    except Group.DoesNotExist:
        raise NotFound from None


def living_orders(group_id: int) -> QuerySet[Order]:
    """Orders that hold a seat in the group."""
    return Order.objects.filter(group_id=group_id, status__in=SEATED)


def group_members(group: Group) -> list[Order]:
    """Orders that hold a seat, the first first, with their buyers. One query."""
    return list(living_orders(group.pk).select_related("user").order_by("pk"))


def offers_on_sale() -> QuerySet[GroupOffer]:
    """Group offers of products that are sold."""
    return GroupOffer.objects.filter(active=True, product__active=True).select_related("product")


def get_invoice_for_user(*, user: "User", no: str) -> Invoice:
    """The newest invoice asked for the user's order. Raises `NotFound`."""
    order = get_order_for_user(user=user, no=no)
    invoice = Invoice.objects.filter(order=order).select_related("order").order_by("-pk").first()
    if invoice is None:
        raise NotFound
    return invoice
