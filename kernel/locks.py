"""Row locks in one order for the whole product, so that two transactions can't wait in a ring.

Each app's `locks.py` takes its rows through here (`invariants.md` section 3).
"""

from enum import IntEnum
from typing import TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

from kernel.errors import InvariantBroken

M = TypeVar("M", bound=Model)


class LockRank(IntEnum):
    """A transaction may only go down this list."""

    ORDER = 10
    PAYMENT = 20
    REFUND = 30
    GROUP = 33
    GIFT = 36
    SUBSCRIPTION = 40
    COUPON = 50
    POINTS_WALLET = 60
    LEDGER_ACCOUNT = 70
    ENTITLEMENT = 80


class LockOrderViolation(InvariantBroken):
    """A lower rank was asked for while a higher one was held."""


class _Held:
    """Rides on the transaction's on-commit list, one for each rise: commit and rollback make it
    go away, and so does the rollback of the savepoint in which it rose, which lets its rows go.
    """

    def __init__(self, scope: str, rank: LockRank) -> None:
        self.scope = scope
        self.rank = rank

    def __call__(self) -> None:
        """Committed: nothing is held any more."""
        self.scope = "-"


def note_rank(rank: LockRank) -> None:
    """Record that this transaction takes rows of `rank` now (also for conditional UPDATEs).

    Raises `LockOrderViolation` when a higher rank is held already.
    """
    if not connection.in_atomic_block:
        raise InvariantBroken("row locks are taken inside a transaction")
    scope = _scope()
    rises = [
        entry[1].rank
        for entry in connection.run_on_commit
        if isinstance(entry[1], _Held) and entry[1].scope == scope
    ]
    if rises and rank < rises[-1]:
        raise LockOrderViolation(f"{rank.name} after {rises[-1].name}")
    if not rises or rank > rises[-1]:
        connection.on_commit(_Held(scope, rank))


def _scope() -> str:
    """Names the service's own transaction where a test case wraps several of them in one."""
    depth = next(
        (
            depth
            for depth, block in enumerate(connection.atomic_blocks)
            if not getattr(block, "_from_testcase", False)
        ),
        0,
    )
    return str(connection.savepoint_ids[depth - 1]) if depth else ""


def lock_one(queryset: QuerySet[M], rank: LockRank) -> M:
    """The one row of `queryset`, locked until commit. Raises the model's DoesNotExist."""
    note_rank(rank)
    return queryset.select_for_update(of=("self",)).get()


def lock_all(queryset: QuerySet[M], rank: LockRank) -> list[M]:
    """All rows of `queryset`, locked in the order of their keys."""
    note_rank(rank)
    return list(queryset.order_by("pk").select_for_update(of=("self",)))
