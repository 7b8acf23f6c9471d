"""Sets of whole seconds as sorted, disjoint, half-open pairs [(from, to)…]. Pure."""

from collections.abc import Iterable

Interval = tuple[int, int]


def union(*sets: Iterable[Interval]) -> list[Interval]:
    """Everything that is in any of the sets; touching pairs become one, empty ones vanish."""
    merged: list[Interval] = []
    for start, end in sorted(pair for pairs in sets for pair in pairs if pair[0] < pair[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def difference(whole: Iterable[Interval], without: Iterable[Interval]) -> list[Interval]:
    """What is in `whole` and not in `without`."""
    holes = union(without)
    left: list[Interval] = []
    for start, end in union(whole):
        at = start
        for hole_start, hole_end in holes:
            if hole_end <= at:
                continue
            if hole_start >= end:
                break
            if at < hole_start:
                left.append((at, hole_start))
            at = hole_end
        if at < end:
            left.append((at, end))
    return left


def total(pairs: Iterable[Interval]) -> int:
    """How many seconds a disjoint set holds."""
    return sum(end - start for start, end in pairs)


def first(pairs: Iterable[Interval], seconds: int) -> list[Interval]:
    """The earliest `seconds` of a sorted disjoint set."""
    kept: list[Interval] = []
    for start, end in pairs:
        if seconds <= 0:
            break
        kept.append((start, min(end, start + seconds)))
        seconds -= end - start
    return kept


def clipped(pairs: Iterable[Interval], end: int) -> list[Interval]:
    """The part of the set within [0, end)."""
    return union((max(0, a), min(end, b)) for a, b in pairs)


def contains(pairs: Iterable[Interval], point: int) -> bool:
    """Whether `point` is in the set."""
    return any(start <= point < end for start, end in pairs)
