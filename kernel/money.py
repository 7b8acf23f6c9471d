"""Integer fen. No float ever touches an amount."""

from collections.abc import Sequence

from kernel.errors import InvariantBroken

BASIS = 10_000


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` (≥ 0) in proportion to `weights` (each ≥ 0); the parts add up to `total`.

    Hamilton's method: everyone gets the floor, the fen left over go to the largest
    remainders, ties to the earlier line. All-zero weights share evenly.
    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise InvariantBroken("largest_remainder takes no negative numbers")
    if not weights:
        if total:
            raise InvariantBroken("nothing to split over")
        return []
    whole = sum(weights)
    shares = list(weights) if whole else [1] * len(weights)
    whole = whole or len(weights)
    parts = [total * share // whole for share in shares]
    order = sorted(range(len(shares)), key=lambda i: (-(total * shares[i] % whole), i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def floor_bp(amount: int, basis_points: int) -> int:
    """`basis_points` / 10000 of a non-negative `amount`, rounded down."""
    return amount * basis_points // BASIS


def yuan(fen: int) -> str:
    """`fen` as yuan with two decimals, for people: 990 → "9.90"."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"
