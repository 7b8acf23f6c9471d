"""A bundle's price over what is in it, without a database. All amounts are integer fen.

The rule:

1. What the buyer pays for the whole bundle (its price, or a group's, a promotional or a member
   price where that is lower, and never more than its things cost one by one now) is split by
   largest remainder, the things' own current prices being the weights.
2. A line's list price is the list price of its thing.
3. What lies between is spread over the lines by the room that each has below its list price, so
   that every step lowers (or keeps) each line and no fen is lost in any of them.
4. What the buyer has already is split off first and left out: its share is not charged, the
   shares of the others stay what they are.
5. A scope of the bundle's own (a course of kind bundle) is one more line over 0 fen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kernel.money import largest_remainder
from payments.rules import Item


@dataclass(frozen=True)
class Part:
    """One thing inside a bundle."""

    title: str
    scope: str
    period: str
    list_fen: int
    price_fen: int  # its own current price: the weight
    owned: bool = False


def exploded(bundle: Item, parts: Sequence[Part], *, own_scope: bool) -> list[Item]:
    """One item per thing that the buyer does not have, then the bundle itself over 0 fen.

    `own_scope` is false where the buyer has the bundle's own scope, or it has none.
    """
    figures = _figures(bundle, parts)
    left_out = sum(part.owned for part in parts)
    items = [
        replace(
            bundle,
            title=part.title,
            scope=part.scope,
            period=part.period,
            list_fen=list_fen,
            price_fen=price_fen,
            promo_fen=promo_fen,
            member_fen=None if bundle.member_fen is None else member_fen,
            left_out=left_out,
        )
        for part, (list_fen, price_fen, promo_fen, member_fen) in zip(parts, figures, strict=True)
        if not part.owned
    ]
    if own_scope:
        items.append(replace(bundle, list_fen=0, price_fen=0, promo_fen=0, member_fen=None))
    return items


def _figures(bundle: Item, parts: Sequence[Part]) -> list[tuple[int, int, int, int]]:
    """(list, price, promotional, member price) of each part: rows fall, columns add up."""
    lists = [part.list_fen for part in parts]
    price = min(bundle.price_fen, sum(part.price_fen for part in parts))
    promo = min(price, bundle.promo_fen)
    paid = promo if bundle.member_fen is None else min(promo, bundle.member_fen)
    member = largest_remainder(paid, [part.price_fen for part in parts])
    promos = _raised(member, promo, lists)
    prices = _raised(promos, price, lists)
    return list(zip(lists, prices, promos, member, strict=True))


def _raised(figures: list[int], total: int, lists: Sequence[int]) -> list[int]:
    """`figures` raised to `total` together, each by the room it has below its list price."""
    room = [max(0, most - fen) for most, fen in zip(lists, figures, strict=True)]
    more = largest_remainder(total - sum(figures), room if any(room) else figures)
    return [fen + extra for fen, extra in zip(figures, more, strict=True)]
