"""Deliveries told to the platform: order shipping (`wechat.md` A9), virtual payment (B3)."""

import logging

from payments.channels import channel_named
from payments.channels.protocol import Delivery
from payments.errors import FactsDiffer
from payments.models import Payment
from payments.services.deliveries import MAX_TRIES, delivery_given_up, delivery_told
from wechat.errors import WeChatError, WeChatRefused

logger = logging.getLogger(__name__)


def delivery_sweep(payment: Payment) -> None:
    """One try for a claimed payment. The row is due again by itself until the tries are used."""
    line = payment.order.lines.order_by("line_no").first()
    delivery = Delivery(
        out_trade_no=payment.out_trade_no,
        transaction_id=payment.transaction_id or "",
        payer_openid=payment.payer_openid,
        title=line.title if line else payment.order.no,
        at=payment.order.paid_at or payment.created_at,
    )
    refused = False
    try:
        if channel_named(payment.channel).report_delivery(delivery):
            delivery_told(payment_id=payment.pk)
            return
        why = "the platform does not know the payment yet"
    except (WeChatError, FactsDiffer) as error:
        refused = isinstance(error, WeChatRefused)
        why = str(error)
    if refused or payment.shipping_tries >= MAX_TRIES:
        logger.error("delivery of %s is not told: %s", payment.out_trade_no, why)
        delivery_given_up(payment_id=payment.pk)
    else:
        logger.warning("delivery of %s waits: %s", payment.out_trade_no, why)
