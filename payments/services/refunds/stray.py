"""Money that its order does not take goes back in full, by itself."""

from datetime import datetime, timedelta

from kernel import clock
from kernel.ids import new_no
from kernel.locks import LockRank, note_rank
from payments.models import Order, Payment, Refund

STRAY = (Refund.Cause.LATE_PAYMENT, Refund.Cause.DUPLICATE_PAYMENT)
# A refund that the platform closed is asked for again under a new number, this often in all.
MAX_TRIES = 5
RETRY_AFTER_CLOSED = timedelta(minutes=1)  # D5: ≥ 1 minute between refunds of one order


def stray_refund(
    *, order: Order, payment: Payment, cause: str, due_at: datetime | None = None
) -> Refund:
    """A refund in full of money that its order does not take, to be asked for after the commit.

    Order and payment are held; the caller has counted the amount as refunding.
    """
    note_rank(LockRank.REFUND)
    return Refund.objects.create(
        order=order,
        payment=payment,
        out_refund_no=new_no(),
        amount_fen=payment.amount_fen,
        cause=cause,
        reason=str(Refund.Cause(cause).label),
        created_at=clock.now(),
        next_check_at=due_at or clock.now(),
    )


def stray_again(*, order: Order, payment: Payment, cause: str) -> bool:
    """The stray money is asked for under a new number, if it was not too often; whether so."""
    if Refund.objects.filter(payment=payment, cause__in=STRAY).count() >= MAX_TRIES:
        return False
    due_at = clock.now() + RETRY_AFTER_CLOSED
    stray_refund(order=order, payment=payment, cause=cause, due_at=due_at)
    return True
