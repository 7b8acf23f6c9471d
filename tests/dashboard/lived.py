"""An order that has seen a lot, made through the services."""

from datetime import timedelta
from typing import Any

from kernel import clock, staff
from payments.models import (
    BillRow,
    Discrepancy,
    Invoice,
    Order,
    Payment,
    Reconciliation,
    Refund,
)
from payments.rules import PaidFacts, RefundFacts
from payments.services.attempts import payment_closed
from payments.services.notices import payment_notice
from payments.services.refunds import refund_request, refund_told
from tests.builders import make_learner
from tests.payments.conftest import attempt


def tell_paid(payment: Payment) -> Payment:
    """The platform's notice that the attempt was paid."""
    facts = PaidFacts(payment.out_trade_no, f"42{payment.out_trade_no}", payment.amount_fen, "",
                      clock.now())  # fmt: skip
    payment_notice(
        event_id=f"EV-{payment.out_trade_no}", event_type="TRANSACTION.SUCCESS", body=b"{}",
        facts=facts,
    )  # fmt: skip
    return payment


def give_back(order: Order, fen: int, reason: str = "不想学了") -> Refund:
    refund = refund_request(order_id=order.pk, by=order.user, reason=reason, amount_fen=fen)
    facts = RefundFacts(refund.out_refund_no, "", "5030", "SUCCESS", fen, clock.now())
    return refund_told(refund_id=refund.pk, facts=facts)


def in_the_bill(number: str, fen: int) -> None:
    day = Reconciliation.objects.create(
        channel="wechat", date=clock.local_date() - timedelta(days=Reconciliation.objects.count())
    )
    row: dict[str, Any] = {"reconciliation": day, "number": number}
    BillRow.objects.create(kind="payment", amount_fen=fen, status="SUCCESS", at=clock.now(), **row)
    Discrepancy.objects.create(
        kind="amount", subject="payment", state="closed", repair="已与平台核对",
        resolved_by=make_learner(nickname="会计"), resolved_at=clock.now(), **row,
    )  # fmt: skip


def lived(order: Order) -> Payment:
    """An order that was paid at the second attempt, partly refunded, and argued about."""
    first = attempt(order)
    payment_closed(payment_id=first.pk)
    second = tell_paid(attempt(order))
    give_back(order, 1000)
    in_the_bill(second.out_trade_no, order.payable_fen)
    Invoice.objects.create(
        order=order, kind="personal", title="张三", email="a@example.com", amount_fen=8900,
        status="issued", number="044001", decided_at=clock.now(), decided_by=order.user,
    )  # fmt: skip
    staff.record(
        by=order.user, action="payments.look", target=f"order:{order.no}", reason="用户来电"
    )
    return second
