"""The only writer of lots, entries and balances. Every function wants the wallet's lock held.

Whatever happens, in one transaction: the wallet's balance, the sum of its user's entries and the
sum of what the lots have left move by the same number.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F, Sum
from django.utils.translation import gettext as _

from incentives import rules
from incentives.errors import PointsInsufficient
from incentives.models import PointEntry, PointLot, PointsWallet
from incentives.rules import LotRest
from kernel import clock
from kernel.errors import InvariantBroken


def lot_grant(
    wallet: PointsWallet, *, points: int, source: str, ref: str, text: str, valid_days: int
) -> PointLot:
    """A new lot of `points` (≥ 1). What the user owes from a clawback is settled from it."""
    now = clock.now()
    lot = PointLot.objects.create(
        user_id=wallet.user_id,
        source=source,
        granted=points,
        remaining=points,
        expires_at=now + timedelta(days=valid_days),
        created_at=now,
    )
    _post(wallet, [LotRest(lot.pk, points)], PointEntry.Kind.EARN, ref=ref, text=text, at=now)
    owed = min(wallet.shortfall, points)
    if owed:
        _take(
            wallet,
            [LotRest(lot.pk, owed)],
            PointEntry.Kind.CLAWBACK,
            ref=f"shortfall:{lot.pk}",
            text=_("抵销此前退款未收回的积分"),
        )
        _shortfall_add(wallet, -owed)
    return lot


def points_take(wallet: PointsWallet, *, points: int, order_no: str, ref: str, text: str) -> None:
    """Spend `points` (≥ 1) from the lots that expire first. Raises PointsInsufficient."""
    overdue_expire(wallet)
    lots = _living(wallet)
    spendable = sum(lot.points for lot in lots)
    if spendable < points:
        raise PointsInsufficient(balance=spendable, points=points)
    parts = rules.taken_fifo(lots, points)
    _take(wallet, parts, PointEntry.Kind.SPEND, ref=ref, order_no=order_no, text=text)


def points_return(
    wallet: PointsWallet, *, order_no: str, points: int | None, ref: str, text: str
) -> int:
    """Give up to `points` (None: all) of an order back to the lots they came from.

    Never more than the order still holds: a repeat returns 0. The lots that live longest are
    filled first. A lot that has expired meanwhile takes its points back and stays spendable for
    `rules.RETURN_GRACE`, after which it expires again.
    """
    overdue_expire(wallet)
    held = _held_by_order(wallet, order_no)
    wanted = _total(held) if points is None else min(points, _total(held))
    parts = rules.taken_fifo(held, wanted)
    if not parts:
        return 0
    now = clock.now()
    lots = {lot.pk: lot for lot in PointLot.objects.filter(pk__in=[part.lot_id for part in parts])}
    for part in parts:
        lot = lots[part.lot_id]
        lot.remaining += part.points
        lot.expires_at = rules.returned_expiry(lot.expires_at, now)
    PointLot.objects.bulk_update(lots.values(), ["remaining", "expires_at"])
    _post(
        wallet,
        parts,
        PointEntry.Kind.SPEND_RETURN,
        ref=ref,
        order_no=order_no,
        text=text,
        at=now,
    )
    return _total(parts)


def points_claw(
    wallet: PointsWallet, *, points: int, first_lot_id: int, order_no: str, ref: str, text: str
) -> int:
    """Take back `points` (≥ 1) that a refunded purchase had earned, first from its own lot.

    Returns how many the lots held; what was spent already is kept as the wallet's shortfall.
    """
    overdue_expire(wallet)
    lots = sorted(_living(wallet), key=lambda lot: lot.lot_id != first_lot_id)
    there = min(points, _total(lots))
    if there:
        parts = rules.taken_fifo(lots, there)
        _take(wallet, parts, PointEntry.Kind.CLAWBACK, ref=ref, order_no=order_no, text=text)
    if points > there:
        _shortfall_add(wallet, points - there)
    return there


def overdue_expire(wallet: PointsWallet) -> int:
    """Expire what the user's overdue lots have left; returns the points that are gone.

    The ref carries the moment of expiry, since a lot may expire again after a return.
    """
    overdue = list(
        PointLot.objects.filter(
            user_id=wallet.user_id, remaining__gt=0, expires_at__lte=clock.now()
        ).order_by("expires_at", "pk")
    )
    for lot in overdue:
        _take(
            wallet,
            [LotRest(lot.pk, lot.remaining)],
            PointEntry.Kind.EXPIRE,
            ref=f"expire:{lot.pk}:{int(lot.expires_at.timestamp())}",
            text=_("积分到期"),
        )
    return sum(lot.remaining for lot in overdue)


def _living(wallet: PointsWallet) -> list[LotRest]:
    """Lots with a rest that has not expired, the first to expire first."""
    rows = (
        PointLot.objects.filter(user_id=wallet.user_id, remaining__gt=0, expires_at__gt=clock.now())
        .order_by("expires_at", "pk")
        .values_list("pk", "remaining")
    )
    return [LotRest(pk, remaining) for pk, remaining in rows]


def _held_by_order(wallet: PointsWallet, order_no: str) -> list[LotRest]:
    """What the order has taken and not given back, per lot, the longest-living lot first."""
    net: dict[int, int] = defaultdict(int)
    rows = (
        PointEntry.objects.filter(
            user_id=wallet.user_id,
            order_no=order_no,
            kind__in=[PointEntry.Kind.SPEND, PointEntry.Kind.SPEND_RETURN],
        )
        .values("lot_id", "lot__expires_at")
        .annotate(net=Sum("delta"))
        .order_by("-lot__expires_at", "-lot_id")
    )
    for row in rows:
        net[row["lot_id"]] -= row["net"]
    return [LotRest(lot_id, points) for lot_id, points in net.items() if points > 0]


def _total(parts: Sequence[LotRest]) -> int:
    return sum(part.points for part in parts)


def _take(
    wallet: PointsWallet,
    parts: Sequence[LotRest],
    kind: str,
    *,
    ref: str,
    text: str,
    order_no: str = "",
) -> None:
    for part in parts:
        changed = PointLot.objects.filter(pk=part.lot_id, remaining__gte=part.points).update(
            remaining=F("remaining") - part.points
        )
        if not changed:
            raise InvariantBroken("a lot was changed without its wallet's lock")
    minus = [LotRest(part.lot_id, -part.points) for part in parts]
    _post(wallet, minus, kind, ref=ref, text=text, order_no=order_no, at=clock.now())


def _post(
    wallet: PointsWallet,
    deltas: Sequence[LotRest],
    kind: str,
    *,
    ref: str,
    text: str,
    at: datetime,
    order_no: str = "",
) -> None:
    """The entries and the balance; the lots are the caller's."""
    PointEntry.objects.bulk_create(
        PointEntry(
            user_id=wallet.user_id,
            lot_id=delta.lot_id,
            delta=delta.points,
            kind=kind,
            ref=ref,
            order_no=order_no,
            text=text,
            created_at=at,
        )
        for delta in deltas
    )
    moved = _total(deltas)
    changed = PointsWallet.objects.filter(pk=wallet.pk, balance__gte=max(-moved, 0)).update(
        balance=F("balance") + moved
    )
    if not changed:
        raise PointsInsufficient(balance=wallet.balance, points=-moved)
    wallet.balance += moved


def _shortfall_add(wallet: PointsWallet, points: int) -> None:
    PointsWallet.objects.filter(pk=wallet.pk).update(shortfall=F("shortfall") + points)
    wallet.shortfall += points
