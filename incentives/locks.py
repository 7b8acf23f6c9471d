"""All row locks of this app: coupon before points wallet (`kernel.locks`).

A wallet's lock covers its user's lots, entries and check-ins; a template's counters and a code's
uses are moved by conditional UPDATEs under the rank of coupons.
"""

from incentives.models import Coupon, PointsWallet
from kernel.locks import LockRank, lock_all, lock_one, note_rank


def wallet_locked(user_id: int) -> PointsWallet:
    """The user's wallet (made when missing), held until commit."""
    mine = PointsWallet.objects.filter(user_id=user_id)
    try:
        return lock_one(mine, LockRank.POINTS_WALLET)
    except PointsWallet.DoesNotExist:
        PointsWallet.objects.bulk_create([PointsWallet(user_id=user_id)], ignore_conflicts=True)
        return lock_one(mine, LockRank.POINTS_WALLET)


def coupon_locked(coupon_id: int) -> Coupon:
    """One coupon with its template, held until commit. Raises Coupon.DoesNotExist."""
    return lock_one(Coupon.objects.filter(pk=coupon_id).select_related("template"), LockRank.COUPON)


def coupons_locked(coupon_ids: list[int]) -> list[Coupon]:
    """The coupons that still exist, held until commit."""
    return lock_all(Coupon.objects.filter(pk__in=coupon_ids), LockRank.COUPON)


def claim_rank() -> None:
    """Say that conditional UPDATEs of claim counters follow."""
    note_rank(LockRank.COUPON)
