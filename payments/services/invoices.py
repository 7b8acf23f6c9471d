"""Requests for invoices, and what staff made of them."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kernel import clock, staff
from kernel.errors import InvalidInput
from payments.errors import InvoiceDecided, InvoiceExists, NothingToInvoice
from payments.locks import invoice_locked, order_locked
from payments.models import Invoice, Payment
from payments.selectors import get_order_for_user

if TYPE_CHECKING:
    from accounts.models import User

LIVING = (Invoice.Status.REQUESTED, Invoice.Status.ISSUED, Invoice.Status.TO_CORRECT)


@transaction.atomic
def invoice_request(
    *, user: "User", no: str, kind: str, title: str, email: str, tax_no: str = ""
) -> Invoice:
    """The buyer's request over what was paid for the order and neither went back nor is on its
    way back. Holds the order.

    Raises `NotFound`, `NothingToInvoice` (not paid, free, or all refunded), `InvoiceExists`.
    """
    order = order_locked(get_order_for_user(user=user, no=no).pk)
    known = Invoice.objects.filter(order=order, status__in=LIVING).first()
    if known is not None:
        raise InvoiceExists(invoice_id=str(known.pk))
    paid = Payment.objects.filter(order=order, effective=True).first()
    amount = 0 if paid is None else paid.amount_fen - paid.refunded_fen - paid.refunding_fen
    if amount <= 0:
        raise NothingToInvoice
    return Invoice.objects.create(
        order=order,
        kind=Invoice.Kind(kind),
        title=title,
        tax_no=tax_no if kind == Invoice.Kind.COMPANY else "",
        email=email,
        amount_fen=amount,
        created_at=clock.now(),
    )


@transaction.atomic
def invoice_issue(*, invoice_id: int, by: "User", number: str) -> Invoice:
    """The requested invoice was issued under this number. Raises `InvoiceDecided`."""
    if not number:
        raise InvalidInput(fields={"number": [_("请填写发票号。")]})
    return _decided(invoice_id, by, Invoice.Status.ISSUED, number=number)


@transaction.atomic
def invoice_reject(*, invoice_id: int, by: "User", reason: str) -> Invoice:
    """The request is refused for this reason; its buyer may ask again. Raises `InvoiceDecided`."""
    if not reason:
        raise InvalidInput(fields={"reason": [_("请填写原因。")]})
    return _decided(invoice_id, by, Invoice.Status.REJECTED, note=reason)


def _decided(
    invoice_id: int, by: "User", status: Invoice.Status, *, number: str = "", note: str = ""
) -> Invoice:
    invoice = invoice_locked(invoice_id)
    if invoice.status != Invoice.Status.REQUESTED:
        raise InvoiceDecided(status=invoice.status)
    invoice.status = status
    invoice.number = number[:40]
    invoice.note = note[:200]
    invoice.decided_by_id = by.pk
    invoice.decided_at = clock.now()
    invoice.save(update_fields=["status", "number", "note", "decided_by", "decided_at"])
    staff.record(
        by=by,
        action=f"payments.invoice_{status.value}",
        target=f"invoice:{invoice.pk}",
        reason=note or number,
        amount_fen=invoice.amount_fen,
    )
    return invoice
