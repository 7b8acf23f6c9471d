"""Pushes of virtual payment (`wechat.md` B4): kept, confirmed by a question, answered in time.

A push is a reason to ask. The platform waits five seconds (Apple three) and sends again what was
not taken, so a hasty question is asked once; without an answer the push is refused and waits for
the sweeper, which asks ten times within ten minutes.
"""

import logging

from django.conf import settings

from kernel.errors import DomainError
from kernel.transactions import retrying
from payments.channels.virtual import VirtualChannel
from payments.errors import FactsDiffer
from payments.models import EventHandling, Payment
from payments.rules import RefundFacts
from payments.selectors import attempt, refund_numbered
from payments.services.apple import apple_answer
from payments.services.kept_events import (
    event_put_off,
    event_taken_over,
    parked_event_failed,
)
from payments.services.pushes import (
    Kept,
    check_delivery,
    check_refund,
    push_adopted,
    push_kept,
    push_noted,
    push_paid,
    push_refunded,
)
from wechat.push import Push
from wechat.xpay import (
    answer_ok,
    answer_retry,
    is_apple_question,
    parse_deliver,
    parse_refund_notify,
)

logger = logging.getLogger(__name__)

_DELIVER = "xpay_goods_deliver_notify"
_REFUND = "xpay_refund_notify"
_COMPLAINT = "xpay_complaint_notify"
_channel = VirtualChannel()


def virtual_push(push: Push) -> bytes:
    """The answer to a verified push of virtual payment.

    Raises `InvalidInput` for one of another shape and `FactsDiffer` for one that does not agree
    with what we asked for: neither is kept, and nothing is asked of the platform.
    """
    event = push.event.lower()
    if is_apple_question(push):
        return retrying(lambda: apple_answer(push=push))
    if event == _DELIVER:
        return _delivered(push)
    if event == _REFUND:
        return _refunded(push)
    complaint = event == _COMPLAINT
    kind = "complaint" if complaint else "other"
    retrying(lambda: push_noted(push=push, kind=kind, for_a_person=complaint))
    logger.warning("push %s is kept, nothing follows from it", event)
    return answer_ok(push)


def push_confirm(event: EventHandling, *, hasty: bool = False) -> None:
    """A kept push has its effect, if the platform confirms it now.

    Raises `FactsDiffer` when it does not, `WeChatError` without an answer.
    """
    if event.kind == "payment":
        _confirm_payment(event, hasty=hasty)
    elif event.kind == "refund":
        _confirm_refund(event)
    else:
        raise FactsDiffer("kind")


def _delivered(push: Push) -> bytes:
    paid = parse_deliver(push)
    check_delivery(paid, settings.KPAY.wechat.xpay_env)
    kept = retrying(
        lambda: push_kept(push=push, kind="payment", business_key=paid.out_trade_no, facts={})
    )
    return _answered(push, kept)


def _refunded(push: Push) -> bytes:
    ended = parse_refund_notify(push)
    check_refund(ended)
    facts = {
        "out_trade_no": ended.out_trade_no,
        "wx_refund_id": ended.wx_refund_id,
        "refund_fen": ended.refund_fen,
        "succeeded": ended.succeeded,
    }
    key = ended.out_refund_no or ended.wx_refund_id
    kept = retrying(lambda: push_kept(push=push, kind="refund", business_key=key, facts=facts))
    return _answered(push, kept)


def _answered(push: Push, kept: Kept) -> bytes:
    if kept.state in (EventHandling.State.DONE, EventHandling.State.IGNORED):
        return answer_ok(push)
    if not kept.mine:
        return answer_retry(push, "under way")
    try:
        push_confirm(EventHandling.objects.get(pk=kept.event_id), hasty=True)
    except DomainError as error:
        logger.warning("push %s waits: %s %s", push.dedupe_key, error.code, error.detail)
        failed = error
        retrying(lambda: parked_event_failed(event_id=kept.event_id, error=failed))
        retrying(lambda: event_put_off(event_id=kept.event_id))
        return answer_retry(push, error.code)
    return answer_ok(push)


def _confirm_payment(event: EventHandling, *, hasty: bool) -> None:
    if attempt(event.business_key) is None:
        raise FactsDiffer("out_trade_no")
    trade = _channel.query(event.business_key, hasty=hasty)
    if trade.facts is None:
        raise FactsDiffer("status")
    facts = trade.facts
    retrying(lambda: push_paid(event_id=event.pk, facts=facts))


def _confirm_refund(event: EventHandling) -> None:
    refund = refund_numbered(event.business_key)
    if refund is None:
        _confirm_foreign(event)
        return
    found = _channel.refund_find(event.business_key, told=True)
    wanted = "SUCCESS" if (event.facts or {}).get("succeeded") else "CLOSED"
    if found is None or found.status != wanted:
        raise FactsDiffer("status")
    facts = found
    retrying(lambda: push_refunded(event_id=event.pk, refund_id=refund.pk, facts=facts))


def _confirm_foreign(event: EventHandling) -> None:
    """Money that went back without our asking: by Apple, or in the platform's console.

    Believed when the order has less left at the platform than our own refunds explain.
    """
    facts = event.facts or {}
    payment = attempt(str(facts.get("out_trade_no", "")))
    if payment is None or payment.status != Payment.Status.SUCCEEDED:
        raise FactsDiffer("out_trade_no")
    if not facts.get("succeeded"):
        retrying(lambda: event_taken_over(event_id=event.pk))
        return
    explained = payment.refunded_fen + payment.refunding_fen
    if _channel.taken_back(payment) < explained + facts["refund_fen"]:
        raise FactsDiffer("left_fee")
    told = RefundFacts(
        out_refund_no=event.business_key,
        out_trade_no=payment.out_trade_no,
        refund_id=facts["wx_refund_id"],
        status="SUCCESS",
        refund_fen=facts["refund_fen"],
        success_at=None,
    )
    retrying(lambda: push_adopted(event_id=event.pk, facts=told))
