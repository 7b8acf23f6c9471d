"""Sending money back."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from kernel import clock
from kernel.transactions import retrying
from payments import refund_rules
from payments.channels import channel_named
from payments.channels.protocol import RefundOrder
from payments.channels.wechat_v3 import refund_redirect
from payments.errors import FactsDiffer, RefundNotByMerchant, RefundNotWaiting
from payments.models import Payment, Refund
from payments.rules import RefundFacts
from payments.services.refunds import (
    refund_adopt,
    refund_backoff,
    refund_close,
    refund_redirect_note,
    refund_redirected,
    refund_refused,
    refund_told,
    refund_waits,
)
from wechat.errors import WeChatError, WeChatNotNow, WeChatRefused
from wechat.pay import BankCard

if TYPE_CHECKING:
    from accounts.models import User

logger = logging.getLogger(__name__)

# Refusals that say something about us, not about the refund (D6): a person mends that, the same
# number is asked for again.
_OUR_FAULT = {"SIGN_ERROR", "NO_AUTH", "APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS"}


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
        refund_waits(refund_id=refund.pk, why=str(error), wait=_wait(refund, error))
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
    except RefundNotByMerchant as refused:
        _refused(refund, refused.code)
        return None
    except WeChatRefused as refused:
        # An earlier try may have got through.
        found = channel.refund_find(refund.out_refund_no)
        if found is None:
            if refused.wechat_code in _OUR_FAULT:
                raise
            _refused(refund, _why(payment, refused))
        return found


def refund_confirm(*, out_refund_no: str, out_trade_no: str) -> bool:
    """Whether the platform knows a refund by this number of our payment; it is ours too then.

    For refunds that we did not ask for. Raises `WeChatError` without an answer, and what
    `refund_adopt` does.
    """
    payment = Payment.objects.get(out_trade_no=out_trade_no)
    facts = channel_named(payment.channel).refund_find(out_refund_no)
    if facts is None:
        return False
    found = facts
    retrying(lambda: refund_adopt(facts=found, out_trade_no=out_trade_no))
    return True


def refund_send_elsewhere(
    *, refund_id: int, by: "User", reason: str, card: BankCard | None = None
) -> Refund:
    """An abnormal refund goes to the payer's `card`, else to the merchant, who hands it on.

    Who wants it is kept first. Raises `RefundNotWaiting`, `Forbidden`, `WeChatError`.
    """
    to = f"card …{card.number[-4:]}" if card else "merchant"
    refund = refund_redirect_note(refund_id=refund_id, by=by, reason=reason, to=to)
    facts = refund_redirect(
        provider_id=refund.provider_id, out_refund_no=refund.out_refund_no, card=card
    )
    return retrying(lambda: refund_redirected(refund_id=refund_id, facts=facts))


def refund_give_up(*, refund_id: int, by: "User", reason: str) -> Refund:
    """An abnormal refund that the platform still calls so is closed by hand.

    Raises `RefundNotWaiting` when it turns out otherwise, `Forbidden`, `WeChatError`.
    """
    refund = Refund.objects.select_related("payment").get(pk=refund_id)
    facts = channel_named(refund.payment.channel).refund_find(refund.out_refund_no)
    if facts is not None:
        found = facts
        retrying(lambda: refund_told(refund_id=refund_id, facts=found))
        if found.status in ("PROCESSING", "SUCCESS"):
            raise RefundNotWaiting(status=found.status.lower())
    return retrying(lambda: refund_close(refund_id=refund_id, by=by, reason=reason))


def _refused(refund: Refund, why: str) -> None:
    logger.warning("refund %s refused: %s", refund.out_refund_no, why)
    retrying(lambda: refund_refused(refund_id=refund.pk, why=why))


def _why(payment: Payment, refused: WeChatRefused) -> str:
    """The platform has one code for all that is invalid; too old is one that we can tell."""
    paid_at = payment.success_at
    if paid_at is not None and clock.now() - paid_at >= refund_rules.PLATFORM_WINDOW:
        return "too_old"
    return refused.wechat_code or str(refused)


def _wait(refund: Refund, error: WeChatError) -> timedelta:
    """ "Not now" (no balance, too often) and our own mistakes wait longer each time; an answer
    that got lost is asked for again by the plan."""
    told = isinstance(error, WeChatNotNow | WeChatRefused) and error.wechat_code
    return refund_backoff(refund) if told else timedelta(0)
