"""Which users an experiment takes and which arm each of them gets. Pure functions of ids.

A layer is a ring of 10,000 buckets and its name is the salt of its hash: layers are independent
of each other, and two running experiments of one layer own buckets that do not overlap. The arm
comes from a second hash, so that a layer's next experiment does not inherit the last one's split.
"""

import hashlib
from collections.abc import Iterable, Sequence

BUCKETS = 10_000


def _hashed(salt: str, user_id: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{salt}:{user_id}".encode()).digest()[:8], "big")


def bucket_of(layer: str, user_id: int) -> int:
    """The user's place in the layer, 0 to 9,999; the same for ever."""
    return _hashed(f"layer:{layer}", user_id) % BUCKETS


def arm_of(key: str, user_id: int, arms: Sequence[tuple[str, int]]) -> str:
    """The arm's name, drawn in proportion to the weights of `arms` (their sum must be above 0)."""
    place = _hashed(f"experiment:{key}", user_id) % sum(weight for _name, weight in arms)
    for name, weight in arms:
        if place < weight:
            return name
        place -= weight
    raise AssertionError("the weights of the arms do not add up")


def free_ranges(taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The half-open ranges of buckets between the half-open ranges in `taken`, in order."""
    free = []
    at = 0
    for lower, upper in sorted(taken):
        if lower > at:
            free.append((at, lower))
        at = max(at, upper)
    if at < BUCKETS:
        free.append((at, BUCKETS))
    return free
