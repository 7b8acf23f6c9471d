"""Sending money back."""

import logging

from kernel.transactions import retrying
from payments.channels import channel_named
from payments.channels.protocol import RefundOrder
from payments.errors import FactsDiffer
from payments.models import Refund
from payments.rules import RefundFacts
from payments.services.refunds import refund_refused, refund_told, refund_waits
from wechat.errors import WeChatError, WeChatRefused

logger = logging.getLogger(__name__)


def refund_sweep(refund: Refund) -> None:
    """Ask for a requested refund, or how one under way stands. The number never changes.

    What goes wrong is kept on the row, which is due again by itself.
    """
    try:
        if refund.status == Refund.Status.REQUESTED:
            facts = refund_submit(refund)
        else:
            facts = channel_named(refund.payment.channel).refund_find(refund.out_refund_no)
        if facts is not None:
            found = facts
            retrying(lambda: refund_told(refund_id=refund.pk, facts=found))
    except WeChatError as error:
        logger.warning("refund %s waits: %s", refund.out_refund_no, error)
        refund_waits(refund_id=refund.pk, why=str(error))
    except FactsDiffer as differ:
        logger.error("refund %s: %s", refund.out_refund_no, differ.detail)
        refund_waits(refund_id=refund.pk, why=f"facts differ: {differ.detail['what']}")


def refund_submit(refund: Refund) -> RefundFacts | None:
    """What the platform answers to our request; None when it refused for good (closed then)."""
    payment = refund.payment
    channel = channel_named(payment.channel)
    try:
        return channel.refund(
            RefundOrder(
                out_refund_no=refund.out_refund_no,
                out_trade_no=payment.out_trade_no,
                amount_fen=refund.amount_fen,
                total_fen=payment.amount_fen,
                reason=refund.reason,
            )
        )
    except WeChatRefused as refused:
        # An earlier try may have got through.
        found = channel.refund_find(refund.out_refund_no)
        if found is None:
            why = refused.wechat_code or str(refused)
            retrying(lambda: refund_refused(refund_id=refund.pk, why=why))
        return found
