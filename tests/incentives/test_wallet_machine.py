"""Any sequence of earning, spending, returning and waiting, against a model of a page."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from incentives import audit, services
from incentives.errors import PointsInsufficient
from incentives.models import PointLot
from incentives.selectors import points_balance
from incentives.services import earning_rule_save, points_earn, reservations
from tests import ports
from tests.builders import make_learner
from tests.incentives.conftest import DAY, balance_of


@dataclass
class Lot:
    """A lot by whole days. `set_at` orders lots that expire on one day."""

    number: int
    left: int
    expires: int
    set_at: int
    held: dict[str, int] = field(default_factory=dict)


class Wallet(RuleBasedStateMachine):
    """One user per run; the model keeps days where the product keeps moments."""

    def __init__(self) -> None:
        super().__init__()
        self.user: Any = make_learner()
        self.day = 0
        self.steps = 0
        self.lots: list[Lot] = []
        ports.CLOCK_FILE.write_text("0", encoding="ascii")

    def _expire(self) -> None:
        for lot in self.lots:
            if lot.expires <= self.day:
                lot.left = 0

    def _living(self) -> list[Lot]:
        living = [lot for lot in self.lots if lot.left and lot.expires > self.day]
        return sorted(living, key=lambda lot: (lot.expires, lot.set_at, lot.number))

    def _spendable(self) -> int:
        return sum(lot.left for lot in self._living())

    @rule(points=st.integers(10, 50), valid_days=st.integers(1, 6))
    def earn(self, points: int, valid_days: int) -> None:
        self.steps += 1
        earning_rule_save(key="m", kind="comment_approved", points=points, valid_days=valid_days)
        granted = points_earn(
            user_id=self.user.pk, kind="comment_approved", ref=str(self.steps), points=points
        )
        assert granted == points
        self.lots.append(Lot(len(self.lots), points, self.day + valid_days, self.steps))

    def _holds_points(self) -> bool:
        return any(part for lot in self.lots for part in lot.held.values())

    @precondition(lambda self: self.lots)
    @rule(points=st.integers(1, 60), order=st.integers(1, 2))
    def spend(self, points: int, order: int) -> None:
        """As an order's reservation; an order may be taken up again after it gave all back."""
        no = str(order)
        if any(lot.held.get(no) for lot in self.lots):
            return
        fits = points <= self._spendable()
        try:
            reservations.points_reserve(user_id=self.user.pk, points=points, order_no=no)
        except PointsInsufficient:
            assert not fits
            return
        assert fits
        self._expire()
        for lot in self._living():
            part = min(lot.left, points)
            lot.left -= part
            lot.held[no] = part
            points -= part

    @precondition(_holds_points)
    @rule(order=st.integers(1, 2))
    def release(self, order: int) -> None:
        no = str(order)
        held = sum(lot.held.get(no, 0) for lot in self.lots)
        assert reservations.points_release(user_id=self.user.pk, order_no=no) == held
        self._return(no, held)

    @precondition(_holds_points)
    @rule(order=st.integers(1, 2), points=st.integers(1, 60))
    def refund(self, order: int, points: int) -> None:
        no = str(order)
        self.steps += 1
        back = min(points, sum(lot.held.get(no, 0) for lot in self.lots))
        assert back == reservations.points_give_back(
            user_id=self.user.pk, order_no=no, out_refund_no=f"R{self.steps}", points=points
        )
        self._return(no, back)

    def _return(self, no: str, points: int) -> None:
        self.steps += 1
        self._expire()
        latest_first = sorted(self.lots, key=lambda lot: (-lot.expires, -lot.set_at, -lot.number))
        for lot in latest_first:
            part = min(lot.held.get(no, 0), points)
            if part:
                lot.held[no] -= part
                lot.left += part
                points -= part
                if lot.expires <= self.day:
                    lot.expires, lot.set_at = self.day + 7, self.steps

    @precondition(lambda self: self.lots)
    @rule(days=st.integers(1, 7))
    def wait(self, days: int) -> None:
        self.day += days
        ports.CLOCK_FILE.write_text(str(self.day * DAY), encoding="ascii")

    @precondition(lambda self: self.lots)
    @rule()
    def sweep(self) -> None:
        services.points_expire()
        self._expire()

    @invariant()
    def agrees(self) -> None:
        assert points_balance(self.user.pk) == self._spendable()
        if not self.lots:
            return
        balance_of(self.user)
        rests = PointLot.objects.filter(user=self.user, remaining__gt=0).order_by("pk")
        overdue_too = {lot.number: lot.left for lot in self.lots if lot.left}
        assert sorted(rests.values_list("remaining", flat=True)) == sorted(overdue_too.values())


@pytest.mark.django_db
def test_the_wallet_does_what_a_simple_model_does():
    try:
        run_state_machine_as_test(
            Wallet,
            settings=settings(
                max_examples=40,
                derandomize=True,
                stateful_step_count=20,
                deadline=None,
                phases=[Phase.generate],  # shrinking against a database takes minutes
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
    finally:
        ports.CLOCK_FILE.unlink(missing_ok=True)
    with connection.cursor() as cursor:
        assert audit.points_add_up(cursor).violations == 0
        assert audit.one_entry_per_fact(cursor).violations == 0
