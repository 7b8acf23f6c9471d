import pytest
from django.db import transaction

from accounts.models import User
from kernel.errors import InvariantBroken
from kernel.locks import LockOrderViolation, LockRank, lock_all, lock_one, note_rank

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_lower_rank_after_a_higher_one_is_refused() -> None:
    with transaction.atomic():
        note_rank(LockRank.POINTS_WALLET)
        with pytest.raises(LockOrderViolation):
            note_rank(LockRank.ORDER)


def test_the_same_order_twice_in_two_transactions_is_fine() -> None:
    for _ in range(2):
        with transaction.atomic():
            note_rank(LockRank.ORDER)
            note_rank(LockRank.ENTITLEMENT)


def test_a_rolled_back_transaction_leaves_no_rank_behind() -> None:
    @transaction.atomic
    def broken() -> None:
        note_rank(LockRank.ENTITLEMENT)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    with transaction.atomic():
        note_rank(LockRank.ORDER)


def test_a_savepoint_that_is_rolled_back_lets_its_ranks_go_and_no_others() -> None:
    @transaction.atomic
    def tried() -> None:
        note_rank(LockRank.POINTS_WALLET)
        raise ZeroDivisionError

    with transaction.atomic():
        note_rank(LockRank.PAYMENT)
        with pytest.raises(ZeroDivisionError):
            tried()
        note_rank(LockRank.REFUND)
        with pytest.raises(LockOrderViolation):
            note_rank(LockRank.ORDER)


def test_a_savepoint_that_is_kept_keeps_its_ranks() -> None:
    with transaction.atomic():
        with transaction.atomic():
            note_rank(LockRank.POINTS_WALLET)
        with pytest.raises(LockOrderViolation):
            note_rank(LockRank.REFUND)


def test_a_decorated_service_may_run_again_and_again() -> None:
    @transaction.atomic
    def service() -> None:
        note_rank(LockRank.ORDER)
        note_rank(LockRank.COUPON)

    service()
    service()


def test_rows_are_locked_in_the_order_of_their_keys(learner) -> None:
    late, early = learner(), learner()
    with transaction.atomic():
        rows = lock_all(User.objects.filter(pk__in=[late.pk, early.pk]), LockRank.ORDER)
        one = lock_one(User.objects.filter(pk=late.pk), LockRank.ORDER)

    assert [row.pk for row in rows] == sorted([late.pk, early.pk])
    assert one.pk == late.pk


def test_locks_outside_a_transaction_are_a_mistake() -> None:
    with pytest.raises(InvariantBroken):
        note_rank(LockRank.ORDER)


@pytest.mark.django_db(transaction=False)
def test_two_services_inside_one_test_transaction_do_not_see_each_other() -> None:
    with transaction.atomic():
        note_rank(LockRank.ENTITLEMENT)
    with transaction.atomic():
        note_rank(LockRank.ORDER)
