"""Where a person decides about a refund. Every decision is kept with its reason."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext as _

from kernel import clock, staff
from kernel.errors import Forbidden, InvalidInput
from payments import rules
from payments.errors import OwnRefund, RefundNotWaiting
from payments.locks import order_locked, payment_locked, refund_locked
from payments.models import Refund
from payments.services.refunds.outcome import UNDER_WAY, check_refund_facts, release_locked
from payments.services.refunds.request import ask_soon, next_turn

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic
def refund_approve(*, refund_id: int, by: "User", note: str = "") -> Refund:
    """The waiting refund will be asked for; `by` neither requested it nor gets the money.

    Approving twice changes nothing. Raises `Forbidden`, `OwnRefund`, `RefundNotWaiting`.
    """
    refund = _held_for(refund_id, by)
    if refund.approval == Refund.Approval.APPROVED:
        return refund
    _check_waiting(refund, by)
    refund.approval = Refund.Approval.APPROVED
    refund.next_check_at = next_turn(refund.payment, clock.now())
    _decided(refund, by, note, "payments.refund_approve", "next_check_at")
    ask_soon()
    return refund


@transaction.atomic
def refund_reject(*, refund_id: int, by: "User", reason: str) -> Refund:
    """The waiting refund will not happen, its amount is free again; the asker reads `reason`.

    Rejecting twice changes nothing. Raises `Forbidden`, `OwnRefund`, `RefundNotWaiting`,
    `InvalidInput` without a reason.
    """
    refund = _held_for(refund_id, by)
    if refund.approval == Refund.Approval.REJECTED:
        return refund
    _check_waiting(refund, by)
    _check_reason(reason)
    refund.approval = Refund.Approval.REJECTED
    refund.status = Refund.Status.REJECTED
    _decided(refund, by, reason, "payments.refund_reject", "status")
    release_locked(refund)
    return refund


@transaction.atomic
def refund_close(*, refund_id: int, by: "User", reason: str) -> Refund:
    """An abnormal refund is given up: its amount is free again, the payer is served otherwise.

    The caller has asked the platform just now. Raises `Forbidden`, `OwnRefund` (who asked for
    the refund does not dispose of its money), `RefundNotWaiting`, `InvalidInput`.
    """
    refund = _held_for(refund_id, by)
    if refund.status == Refund.Status.CLOSED:
        return refund
    if refund.status != Refund.Status.ABNORMAL:
        raise RefundNotWaiting(status=refund.status)
    if by.pk in (refund.requested_by_id, refund.order.user_id):
        raise OwnRefund
    _check_reason(reason)
    refund.status = Refund.Status.CLOSED
    refund.next_check_at = None
    refund.last_error = "closed_by_hand"
    names = ("status", "next_check_at", "last_error")
    _decided(refund, by, reason, "payments.refund_close", *names)
    release_locked(refund)
    return refund


@transaction.atomic
def refund_ask_again(*, refund_id: int, by: "User", reason: str) -> Refund:
    """The refund under way is looked at with the next sweep, and as often again as a new one.

    Raises `Forbidden`, `RefundNotWaiting` (final, or waiting for approval), `InvalidInput`.
    """
    refund = _held_for(refund_id, by)
    if refund.status not in UNDER_WAY or refund.approval == Refund.Approval.WAITING:
        raise RefundNotWaiting(status=refund.status, approval=refund.approval)
    _check_reason(reason)
    asked = refund.status != Refund.Status.REQUESTED or refund.checks
    refund.checks = 1 if asked else 0
    refund.next_check_at = clock.now()
    refund.save(update_fields=["checks", "next_check_at"])
    _record(refund, by, "payments.refund_ask_again", reason)
    ask_soon()
    return refund


@transaction.atomic
def refund_redirect_note(*, refund_id: int, by: "User", reason: str, to: str) -> Refund:
    """Before the platform is asked to send an abnormal refund elsewhere: who wants that, and why.

    Raises `Forbidden`, `RefundNotWaiting`, `InvalidInput`.
    """
    refund = _held_for(refund_id, by)
    if refund.status != Refund.Status.ABNORMAL:
        raise RefundNotWaiting(status=refund.status)
    _check_reason(reason)
    _record(refund, by, "payments.refund_redirect", reason, to=to)
    return refund


@transaction.atomic
def refund_redirected(*, refund_id: int, facts: rules.RefundFacts) -> Refund:
    """The platform sends the abnormal refund elsewhere: it is processing again.

    News that overtook this answer stay. Raises `FactsDiffer`.
    """
    known = Refund.objects.only("order_id", "payment_id").get(pk=refund_id)
    order_locked(known.order_id)
    payment = payment_locked(known.payment_id)
    refund = refund_locked(refund_id)
    check_refund_facts(refund, payment, facts)
    if refund.status == Refund.Status.ABNORMAL and facts.status == "PROCESSING":
        refund.status = Refund.Status.PROCESSING
        refund.checks = 0
        refund.next_check_at = clock.now()
        refund.last_error = ""
        refund.save(update_fields=["status", "checks", "next_check_at", "last_error"])
    return refund


def _held_for(refund_id: int, by: "User") -> Refund:
    """The refund with order and payment, held, for someone who may decide about it."""
    if not by.has_perm("payments.change_refund"):
        raise Forbidden
    known = Refund.objects.only("order_id", "payment_id").get(pk=refund_id)
    order = order_locked(known.order_id)
    payment = payment_locked(known.payment_id)
    refund = refund_locked(refund_id)
    refund.order, refund.payment = order, payment
    return refund


def _check_waiting(refund: Refund, by: "User") -> None:
    if refund.approval != Refund.Approval.WAITING:
        raise RefundNotWaiting(status=refund.status, approval=refund.approval)
    if by.pk in (refund.requested_by_id, refund.order.user_id):
        raise OwnRefund


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput(fields={"reason": [_("请填写原因。")]})


def _decided(refund: Refund, by: "User", note: str, action: str, *names: str) -> None:
    refund.decided_by = by
    refund.decided_at = clock.now()
    refund.decision_note = note.strip()[:200]
    refund.save(update_fields=["approval", "decided_by", "decided_at", "decision_note", *names])
    _record(refund, by, action, note)


def _record(refund: Refund, by: "User", action: str, reason: str, **detail: str) -> None:
    staff.record(
        by=by,
        action=action,
        target=f"refund:{refund.out_refund_no}",
        reason=reason.strip()[:200],
        amount_fen=refund.amount_fen,
        **detail,
    )
